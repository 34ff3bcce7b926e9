"""Type values into a workbook in LibreOffice, as a Danish user does, and save it: SOFFICE FROM TO CELL TEXT CELL TEXT…

Run by the interpreter that LibreOffice's bridge is installed for, so it imports nothing of this project.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uno  # type: ignore[import-not-found]
from com.sun.star.beans import PropertyValue  # type: ignore[import-not-found]

# What makes an office Danish: dates and numbers are read as Danes type them.
DANISH = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Setup/L10N">
<prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>da-DK</value></prop></item></oor:items>
"""
TEXT = 256  # com.sun.star.util.NumberFormat.TEXT
FILTERS = {".xlsx": "Calc MS Excel 2007 XML", ".ods": "calc8"}


def main(office: str, source: str, target: str, *pairs: str) -> None:
    """Fill in the first sheet of `source` and save it as `target`."""
    with tempfile.TemporaryDirectory() as home:
        address = f"pipe,name=fill{Path(home).name}"
        profile = Path(home) / "user" / "registrymodifications.xcu"
        profile.parent.mkdir()
        profile.write_text(DANISH, encoding="utf-8")
        started = subprocess.Popen(
            [office, "--headless", "--norestore", f"--accept={address};urp;", f"-env:UserInstallation=file://{home}"]
        )
        try:
            fill(connect(address), source, target, dict(zip(pairs[::2], pairs[1::2], strict=True)))
        finally:
            started.wait(60)


def connect(address: str):
    """Return LibreOffice's desktop once it answers."""
    context = uno.getComponentContext()
    resolver = context.ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
    for _ in range(120):
        try:
            remote = resolver.resolve(f"uno:{address};urp;StarOffice.ComponentContext")
            return remote.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", remote)
        except Exception:
            time.sleep(0.5)
    raise SystemExit("LibreOffice does not answer")


def fill(desktop, source: str, target: str, values: dict) -> None:
    """Type the values, save, and end LibreOffice."""
    hidden = PropertyValue("Hidden", 0, True, 0)
    document = desktop.loadComponentFromURL(Path(source).as_uri(), "_blank", 0, (hidden,))
    try:
        sheet = document.Sheets.getByIndex(0)
        for name, text in values.items():
            cell = sheet.getCellRangeByName(name)
            if document.NumberFormats.getByKey(cell.NumberFormat).Type & TEXT:
                cell.String = text
            else:
                cell.FormulaLocal = text  # read as typed, in the locale of the office
        saved = PropertyValue("FilterName", 0, FILTERS[Path(target).suffix], 0)
        document.storeToURL(Path(target).as_uri(), (saved,))
    finally:
        document.close(True)
        desktop.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
