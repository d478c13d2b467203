//! How far a roll is, and how long it may take yet.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::model::plan::{Gate, Plan};

/// Counts the turns of a roll: a control plane's servers, then each node. No other plan has any.
pub struct Forecast {
    total: usize,
    /// When the first turn began, and how many are done.
    state: Mutex<(Option<Instant>, usize)>,
}

/// Whether a gate stands at the end of a turn.
fn is_turn(gate: &Gate) -> bool {
    matches!(gate, Gate::Served(_) | Gate::Rolled(_) | Gate::Batch(_))
}

impl Forecast {
    pub fn of(plan: &Plan) -> Self {
        let turns = plan.items().filter_map(|(_, item)| item.opens.as_ref()).filter(|gate| is_turn(gate));
        Self { total: turns.count(), state: Mutex::new((None, 0)) }
    }

    /// A chain passed what it waited for. What is prepared beforehand is no part of any turn.
    pub fn passed(&self, gate: &Gate) {
        if *gate == Gate::Prepared || is_turn(gate) {
            self.state.lock().expect("no holder panics").0.get_or_insert_with(Instant::now);
        }
    }

    /// A turn is done: what is to be said of the rest, if any is left.
    pub fn done(&self, gate: &Gate) -> Option<String> {
        if !is_turn(gate) {
            return None;
        }
        let mut state = self.state.lock().expect("no holder panics");
        state.1 += 1;
        let (began, done) = *state;
        let left = self.total.checked_sub(done).filter(|left| *left > 0)?;
        Some(words(began?.elapsed(), done, left))
    }
}

/// The rest takes as long as what was done, turn by turn.
fn words(took: Duration, done: usize, left: usize) -> String {
    let rest = took.as_secs_f64() / done as f64 * left as f64;
    let rest = match rest {
        ..90.0 => format!("{:.0} s", rest.max(1.0)),
        _ => format!("{:.0} min", rest / 60.0),
    };
    format!("{done} of {} turns of the roll are done; about {rest} more", done + left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_like_what_was() {
        assert_eq!(words(Duration::from_secs(60), 2, 1), "2 of 3 turns of the roll are done; about 30 s more");
        assert_eq!(words(Duration::from_secs(60), 1, 7), "1 of 8 turns of the roll are done; about 7 min more");
    }
}
