//! Reloads under way, step by step: as the command line words them.

use super::Canvas;
use super::layout::Layout;
use super::theme::Tone;
use crate::monit::model::Dashboard;
use crate::progress;
use crate::terminal_text::plain;
use ostler_core::{Step, TurnView};

pub fn draw(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let (first, lines) = layout.steps;
    let turns: Vec<(bool, &TurnView)> = dashboard
        .reloads
        .reloads
        .iter()
        .flat_map(|roll| roll.turns.iter().map(|turn| (roll.undoing, turn)))
        .collect();
    let room = usize::from(lines);
    // Where not all have room, those under way come first, and the last line counts the others.
    let under_way = |turn: &TurnView| !matches!(turn.step, Step::Waiting | Step::Done);
    let all = turns.len() <= room;
    let shown = turns.iter().filter(|(_, turn)| all || under_way(turn));
    let shown: Vec<_> = shown.take(if all { room } else { room.saturating_sub(1) }).collect();
    for (line, (undoing, turn)) in (first..).zip(&shown) {
        let connections = dashboard.reloads.connections.get(&turn.slot).copied();
        let text = plain(&progress::line(*undoing, turn, connections));
        let (mark, tone) = match (undoing, turn.step) {
            (true, _) => ("↩", Tone::Bad),
            (false, Step::Waiting) => ("·", Tone::Faint),
            (false, Step::Done) => ("✓", Tone::Good),
            (false, Step::Launching | Step::Starting | Step::Proving | Step::Draining | Step::Ending) => {
                ("↻", Tone::Moving)
            }
        };
        canvas.put(1, line, mark, tone);
        canvas.put(3, line, &text, tone);
    }
    if !all && room > 0 {
        let done = turns.iter().filter(|(_, turn)| turn.step == Step::Done).count();
        let text = format!("{done} of {} are replaced", turns.len());
        canvas.put(3, first + lines - 1, &text, Tone::Moving);
    }
}
