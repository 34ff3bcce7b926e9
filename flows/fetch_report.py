"""What a fetch brought, source by source, in plain words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FetchReport:
    """What became of every source and of every file that is none: plain words for the summary."""

    new: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    kept_old: dict[str, str] = field(default_factory=dict)
    refused_files: dict[str, str] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)
    """Sources that never came and were not asked, for want of a token: no fault of this run."""

    @property
    def failed(self) -> dict[str, str]:
        """Return source -> reason for those that were asked and did not answer as they should."""
        return {source: reason for source, reason in self.kept_old.items() if source not in self.unasked}

    @property
    def silent(self) -> bool:
        """Tell whether every source asked failed: then the fault is on the way, not at a source."""
        return bool(self.kept_old) and not self.new and not self.unchanged

    @property
    def silence(self) -> str:
        """Tell in words how many of the sources asked did not answer, and the first reason."""
        failed = self.failed or self.kept_old
        source, reason = next(iter(failed.items()))
        asked = len(failed) + len(self.new) + len(self.unchanged)
        none = f"none of {asked} sources answered"
        told = none if self.silent else f"{len(failed)} of {asked} sources did not answer"
        return f"{told} (first {source}: {reason.rstrip('.')})"
