//! Putting files together: later ones add, change and skip steps of earlier ones.

use super::{
    Chain, Playbook, Skipped, Stage, Template, When,
    fields::{KINDS, read, reference},
    text::{Id, Line, Word},
};
use crate::{
    diag::{
        Problem, Problems, did_you_mean,
        toml::{At, Document, Table},
    },
    model::step::StepId,
};

/// Reads all files, each name with its text, and puts them together.
///
/// # Errors
/// Where anything is wrong: all of it, file by file.
pub fn merge<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Playbook, Vec<Problems>> {
    let mut playbook = Playbook { stages: Vec::new(), steps: Vec::new(), skipped: Vec::new() };
    let mut problems = Vec::new();
    for (name, text) in files {
        let document = Document::parse(text);
        File { name, document: &document, playbook: &mut playbook }.read();
        problems.extend(document.into_problems(name));
    }
    if problems.is_empty() { Ok(playbook) } else { Err(problems) }
}

/// One file on its way into the playbook.
struct File<'a, 'd> {
    name: &'a str,
    document: &'d Document<'d>,
    playbook: &'a mut Playbook,
}

impl File<'_, '_> {
    fn read(&mut self) {
        let mut root = self.document.root();
        let stages = root.tables("stage");
        let steps = root.tables("step");
        let patches = root.tables("patch");
        let skips = root.tables("skip");
        root.finish(|_| None);
        for table in stages {
            self.stage(table);
        }
        for table in steps {
            self.step(table);
        }
        for table in patches {
            self.patch(table);
        }
        for table in skips {
            self.skip(table);
        }
    }

    fn stage(&mut self, mut table: Table<'_>) {
        let id = table.parsed::<Word>("id");
        let title = table.parsed::<Line>("title");
        let chain = table.choice("chain", &[("node", Chain::Node), ("cluster", Chain::Cluster)]);
        let place = (table.parsed::<Word>("before"), table.parsed::<Word>("after"));
        table.need("id", "id = \"site\"");
        table.need("title", "title = \"What this site wants\"");
        table.finish(|_| None);
        let (Some(id), Some(title)) = (id, title) else { return };
        let word = id.value.to_string();
        if self.playbook.stages.iter().any(|stage| stage.id == word) {
            self.document.push(Problem::at(id.span, format!("there is a stage `{word}` already")));
            return;
        }
        let at = self.place(place, self.playbook.stages.len(), "stage", |file, word| {
            let place = file.playbook.stages.iter().position(|stage| stage.id == word);
            place.ok_or_else(|| did_you_mean(word, file.playbook.stages.iter().map(|stage| stage.id.as_str())))
        });
        let chain = chain.map_or(Chain::Node, |at| at.value);
        self.playbook.stages.insert(at, Stage { id: word, title: title.value.to_string(), chain });
    }

    fn step(&mut self, mut table: Table<'_>) {
        let id = table.parsed::<Id>("id");
        let title = table.parsed::<Line>("title");
        let word = table.value("kind");
        let kind = word.as_ref().and_then(|word| word.choice(&KINDS)).map(|at| at.value);
        let when = table.table("when").map(When::read).unwrap_or_default();
        let place = (reference(&mut table, "before"), reference(&mut table, "after"));
        table.need("id", "id = \"os.example\"");
        table.need("title", "title = \"what a person reads\"");
        let fields = kind.and_then(|kind| read(&mut table, kind, None));
        match (kind, &word) {
            (Some(_), _) => table.finish(|_| None),
            // Of a kind that is not known no field is: others are not called unknown.
            (None, Some(_)) => {}
            (None, None) => self.missing(&table, "kind", "kind = \"file\""),
        }
        let Some(id) = id else { return };
        let stage = id.value.stage().to_owned();
        let known = self.playbook.stages.iter().find(|known| known.id == stage);
        if let (Some(known), Some(kind), Some(word)) = (known, &fields, &word)
            && known.chain != kind.chain()
        {
            let (who, chain) = match known.chain {
                Chain::Node => ("each node goes", "cluster"),
                Chain::Cluster => ("the cluster as a whole goes", "node"),
            };
            let problem = Problem::at(word.span(), format!("{who} through stage `{stage}`; this is not a step of it"));
            self.document.push(problem.hint(format!("it belongs into a stage of chain = \"{chain}\"")));
        }
        if known.is_none() {
            let meant = did_you_mean(&stage, self.playbook.stages.iter().map(|stage| stage.id.as_str()));
            let hint = meant.map(|meant| format!("did you mean `{meant}.…`?"));
            let problem = Problem::at(id.span, format!("there is no stage `{stage}`"));
            self.document
                .push(problem.maybe_hint(hint.or(Some("an id begins with its stage; add a [[stage]]".into()))));
            return;
        }
        let step = StepId::new(id.value.as_str());
        if let Some(known) = self.playbook.step(id.value.as_str()) {
            let problem = Problem::at(id.span, format!("there is a step `{step}` already (in {})", known.file));
            self.document.push(problem.hint("change it with [[patch]], or give this one another name"));
            return;
        }
        let at = self.place(place, self.playbook.steps.len(), "step", Self::position);
        let (Some(kind), Some(title)) = (fields, title) else { return };
        let template = Template {
            id: step,
            stage,
            title: title.value.to_string(),
            when,
            kind,
            file: self.name.to_owned(),
            patched_by: Vec::new(),
        };
        self.playbook.steps.insert(at, template);
    }

    fn patch(&mut self, mut table: Table<'_>) {
        let id = reference(&mut table, "step");
        if table.value("step").is_none() {
            self.missing(&table, "step", "step = \"os.sysctls\"");
        }
        let title = table.parsed::<Line>("title");
        let when = table.table("when").map(When::read);
        let Some(at) = id.and_then(|id| self.known(&id)) else { return };
        let step = &self.playbook.steps[at];
        let kind = read(&mut table, step.kind.word(), Some(&step.kind));
        table.finish(|key| (key == "kind").then(|| "a step's kind stays: skip it, and add one of your own".to_owned()));
        let step = &mut self.playbook.steps[at];
        step.kind = kind.unwrap_or_else(|| step.kind.clone());
        step.when = when.unwrap_or_else(|| step.when.clone());
        step.title = title.map_or_else(|| step.title.clone(), |title| title.value.to_string());
        step.patched_by.push(self.name.to_owned());
    }

    fn skip(&mut self, mut table: Table<'_>) {
        let id = reference(&mut table, "step");
        let why = table.parsed::<Line>("why");
        table.need("step", "step = \"os.swap\"");
        table.need("why", "why = \"what makes it needless here\"");
        table.finish(|_| None);
        if let Some(why) = why.as_ref().filter(|why| why.value.as_str().trim().is_empty()) {
            let problem = Problem::at(why.span.clone(), "a skipped step says why");
            self.document.push(problem.hint("whoever reads this later must know whether it still holds"));
        }
        let (Some(at), Some(why)) = (id.and_then(|id| self.known(&id)), why) else { return };
        let step = self.playbook.steps.remove(at);
        let skipped = Skipped { step: step.id, why: why.value.to_string(), file: self.name.to_owned() };
        self.playbook.skipped.push(skipped);
    }

    /// What is missing where nothing else can be read for want of it.
    fn missing(&self, table: &Table<'_>, key: &str, example: &str) {
        if self.document.is_whole() {
            let problem = Problem::at(table.span(), format!("this has no `{key}`"));
            self.document.push(problem.hint(format!("add `{example}`")));
        }
    }

    /// Where a step stands, or what was meant.
    fn position<'b>(&'b self, id: &str) -> Result<usize, Option<&'b str>> {
        let ids = || self.playbook.steps.iter().map(|step| step.id.as_str());
        ids().position(|known| known == id).ok_or_else(|| did_you_mean(id, ids()))
    }

    /// The place of a step that must be there.
    fn known(&self, id: &At<Id>) -> Option<usize> {
        match self.position(id.value.as_str()) {
            Ok(at) => Some(at),
            Err(meant) => {
                self.unknown("step", &id.value, id.span.clone(), meant);
                None
            }
        }
    }

    fn unknown(&self, what: &str, word: &impl std::fmt::Display, span: crate::diag::Span, meant: Option<&str>) {
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "kbootstrap playbook show lists them".to_owned(),
        };
        self.document.push(Problem::at(span, format!("there is no {what} `{word}`")).hint(hint));
    }

    /// Where something new goes: before or after something named, or last.
    fn place<T: AsRef<str> + std::fmt::Display>(
        &self,
        (before, after): (Option<At<T>>, Option<At<T>>),
        last: usize,
        what: &str,
        position: impl for<'b> Fn(&'b Self, &str) -> Result<usize, Option<&'b str>>,
    ) -> usize {
        if let (Some(before), Some(after)) = (&before, &after) {
            let problem = Problem::at(after.span.clone(), "`before` and `after` at once");
            self.document.push(problem.other(before.span.clone(), "this says where already").hint("leave one out"));
        }
        let (named, shift) = match (before, after) {
            (Some(named), _) => (named, 0),
            (None, Some(named)) => (named, 1),
            (None, None) => return last,
        };
        match position(self, named.value.as_ref()) {
            Ok(at) => at + shift,
            Err(meant) => {
                self.unknown(what, &named.value, named.span, meant);
                last
            }
        }
    }
}

#[cfg(test)]
mod tests;
