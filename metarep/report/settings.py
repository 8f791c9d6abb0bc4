"""Settings of the report."""

from __future__ import annotations

from pydantic import Field

from metarep.settings import Settings


class ReportConfig(Settings):
    """How the report's figures are drawn."""

    dpi: int = Field(160, ge=40, le=600, description="pixels per inch of the figures")
