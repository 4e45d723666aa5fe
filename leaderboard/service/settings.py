"""How a service is run: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leaderboard.container import BUNDLE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things lie and what is allowed.

    Attributes:
        storage: folder of the uploads, the site and, by default, the database.
        board: folder of the entries that are admitted.
        database: SQLAlchemy URL; None for SQLite in the storage folder.
        data_dir: where local copies of data sets lie, for shifts without a shipped key.
        max_bytes: of a bundle.
        lease: seconds after which a verification that gives no sign of life is taken over.
        attempts: verifications of one bundle that may die before it is given up.
        timeout: seconds that one verification may take.
        site: whether the site is built and served; ``claimed``: with the published figures.
    """

    storage: Path
    board: Path
    database: str | None = None
    data_dir: Path | None = None
    max_bytes: int = BUNDLE_BYTES
    lease: float = 60.0
    attempts: int = 3
    timeout: float = 900.0
    site: bool = True
    claimed: bool = True

    @property
    def url(self) -> str:
        """Of the database."""
        return self.database or f"sqlite:///{self.storage.resolve() / 'service.sqlite'}"

    @property
    def uploads(self) -> Path:
        """Folder of the bundles."""
        return self.storage / "uploads"

    @property
    def shown(self) -> Path:
        """Link to the folder of the site as it is now."""
        return self.storage / "site"
