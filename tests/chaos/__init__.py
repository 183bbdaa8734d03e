"""Kills, cuts and full disks under load, and whether anything came of them; see docs/faults.md."""
