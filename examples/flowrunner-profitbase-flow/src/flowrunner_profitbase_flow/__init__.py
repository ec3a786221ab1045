"""Profitbase Flow as a backend of flowrunner."""

from __future__ import annotations

from flowrunner_profitbase_flow.backend import ProfitbaseFlow, ProfitbaseFlowSettings

__all__ = ["ProfitbaseFlow", "ProfitbaseFlowSettings"]
