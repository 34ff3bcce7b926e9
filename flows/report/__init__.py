"""The static report: pages that need no server, no network and no program but a browser."""

from flows.report.build import ReportOptions, build_report

__all__ = ["ReportOptions", "build_report"]
