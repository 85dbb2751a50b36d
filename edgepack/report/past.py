"""How did the median of the same measurement go over time?"""

from edgepack.report.hover import Chart
from edgepack.report.schema import Report


def histories(report: Report) -> tuple[Chart, ...]:
    """A chart for every measurement that was made before."""
    return ()
