//! `kbootstrap.playbook/v1` and `kbootstrap.playbook-check/v1`: the results of `playbook show` and `playbook check`.

use serde::Serialize;

use crate::{
    diag::{Located, Problems},
    playbook::{Chain, Name, Playbook},
};

/// A playbook with all that it can name.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    stages: Vec<Stage<'a>>,
    skipped: Vec<Skipped<'a>>,
    values: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Stage<'a> {
    id: &'a str,
    title: &'a str,
    /// `node` or `cluster`.
    chain: &'static str,
    steps: Vec<Step<'a>>,
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    id: &'a str,
    title: &'a str,
    kind: &'static str,
    /// Conditions in words; all of them must hold.
    when: Vec<String>,
    file: &'a str,
    patched_by: &'a [String],
}

#[derive(Debug, Serialize)]
struct Skipped<'a> {
    step: &'a str,
    why: &'a str,
    file: &'a str,
}

#[derive(Debug, Serialize)]
struct Value {
    name: &'static str,
    shape: &'static str,
    about: &'static str,
}

impl<'a> Document<'a> {
    /// The document of a playbook.
    pub fn of(playbook: &'a Playbook) -> Self {
        let steps = |stage: &str| {
            let steps = playbook.steps.iter().filter(|step| step.stage == stage);
            steps
                .map(|step| Step {
                    id: step.id.as_str(),
                    title: &step.title,
                    kind: step.kind.word(),
                    when: step.when.words(),
                    file: &step.file,
                    patched_by: &step.patched_by,
                })
                .collect()
        };
        let stages = playbook.stages.iter().map(|stage| Stage {
            id: &stage.id,
            title: &stage.title,
            chain: match stage.chain {
                Chain::Node => "node",
                Chain::Cluster => "cluster",
            },
            steps: steps(&stage.id),
        });
        let skipped =
            playbook.skipped.iter().map(|it| Skipped { step: it.step.as_str(), why: &it.why, file: &it.file });
        let values = Name::ALL.iter().map(|name| Value {
            name: name.as_str(),
            shape: name.shape().as_str(),
            about: name.about(),
        });
        Self {
            schema: "kbootstrap.playbook/v1",
            stages: stages.collect(),
            skipped: skipped.collect(),
            values: values.collect(),
        }
    }
}

/// Whether a user's playbooks can be used.
#[derive(Debug, Serialize)]
pub struct Checked<'a> {
    schema: &'static str,
    valid: bool,
    /// What is wrong, file by file; empty where nothing is.
    problems: Vec<Located<'a>>,
}

impl<'a> Checked<'a> {
    /// Nothing is wrong.
    pub fn sound() -> Self {
        Self { schema: CHECKED, valid: true, problems: Vec::new() }
    }

    /// These are wrong.
    pub fn unsound(problems: &'a [Problems]) -> Self {
        Self { schema: CHECKED, valid: false, problems: problems.iter().flat_map(Problems::located).collect() }
    }
}

const CHECKED: &str = "kbootstrap.playbook-check/v1";
