//! Running a plan: chains, gates, events, journal, report.
