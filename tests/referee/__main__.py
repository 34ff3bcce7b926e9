"""Print the referee's tables: `python -m tests.referee [WORLDS]`; 60 worlds a study unless told."""

from __future__ import annotations

import sys
import warnings

from tests.referee.studies import STUDIES, follow_up, methods, run


def main() -> None:
    """Print a Markdown table of the simulation studies, one of the follow-up and one of the method effects."""
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    warnings.simplefilter("ignore")
    print("| world | worlds | coverage of 95 % | any false call | power | rank correlation |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in STUDIES:
        r = run(name, worlds)
        power, rank = (f"{v:.2f}" if r.rank == r.rank else "" for v in (r.power, r.rank))
        print(
            f"| {r.name} | {r.worlds} | {100 * r.covered:.1f} ({100 * r.covered_error:.1f}) "
            f"| {100 * r.any_false:.0f} % ({100 * r.any_error:.0f}) | {power} | {rank} |", flush=True,
        )  # fmt: skip
    print("\n| follow-up | comparison | bias | coverage of 95 % |\n|---|---|---|---|")
    for correlation, effect, chosen_on in (
        (0.0, 0.0, "measured"), (0.5, 0.0, "measured"), (0.8, 0.0, "measured"), (0.8, 4.0, "measured"),
        (0.5, 0.0, "lasting level"),
    ):  # fmt: skip
        for name, bias, error, hits in follow_up(correlation, effect, 2 * worlds, chosen_on):
            print(
                f"| errors correlated {correlation}, effect {effect:.0f}, chosen on the {chosen_on} | {name} "
                f"| {bias:.2f} ({error:.2f}) | {100 * hits:.0f} % |", flush=True,
            )  # fmt: skip
    print("\n| methods | fitted in | bias of the log ratio | coverage of 95 % |\n|---|---|---|---|")
    for code, way, bias, error, hits in methods(max(worlds // 3, 2)):
        print(f"| {code} | {way} | {bias:.3f} ({error:.3f}) | {100 * hits:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
