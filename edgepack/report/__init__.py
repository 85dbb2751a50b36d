"""What did a run find, for people (report.md, report.html, one table) and for programs (report.json)?"""

from edgepack.report.collect import collect
from edgepack.report.commands import next_commands
from edgepack.report.table import rows, verdicts
from edgepack.report.write import write

__all__ = ["collect", "next_commands", "rows", "verdicts", "write"]
