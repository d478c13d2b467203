//! `runs` and `report`, from journals as runs leave them: one that failed, one that died in the midst of a line, one that did well.

use crate::kbootstrap::run_with;

fn run(args: &[&str]) -> String {
    run_with(args, &[("XDG_STATE_HOME", "journals")])
}

#[test]
fn runs_are_listed_newest_first() {
    insta::assert_snapshot!("runs", run(&["runs"]));
    insta::assert_snapshot!("runs_one", run(&["runs", "-n", "1"]));
    insta::assert_snapshot!("runs_json", run(&["runs", "--output", "json"]));
    insta::assert_snapshot!("runs_none", run_with(&["runs"], &[("XDG_STATE_HOME", "/nowhere")]));
}

#[test]
fn a_report_tells_where_the_time_went_and_what_failed() {
    insta::assert_snapshot!("report_failed", run(&["report", "20260301-0815"]));
    insta::assert_snapshot!("report_died", run(&["report", "20260301-0820"]));
    insta::assert_snapshot!("report_newest", run(&["report"]));
    insta::assert_snapshot!("report_json", run(&["report", "20260301-0815", "--output", "json"]));
}

#[test]
fn a_run_that_cannot_be_meant_is_told() {
    insta::assert_snapshot!("report_none", run(&["report", "1999"]));
    insta::assert_snapshot!("report_many", run(&["report", "20260301"]));
    insta::assert_snapshot!("report_empty", run_with(&["report"], &[("XDG_STATE_HOME", "/nowhere")]));
}
