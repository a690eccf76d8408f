//! The view on a screen. What does not fit is left out: past calls first.

use super::view::{AccountRow, LineRow, LogRow, Quality, WatchedRow};
use super::{Tint, View};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

/// Accounts that are shown at a time.
const ACCOUNTS: u16 = 4;
/// Lines that are shown at a time.
const LINES: u16 = 6;
/// Lines of watched numbers that are shown at a time.
const WATCHED: u16 = 4;
/// The softest level that a meter shows, in dBov.
const SOFTEST: i8 = -60;

/// Draws everything.
pub fn draw(view: &View, frame: &mut Frame<'_>) {
    let area = frame.area();
    let keys = key_lines(view, area.width);
    let rows = |count: usize, most: u16| u16::try_from(count).unwrap_or(most).clamp(1, most);
    let quality = quality_lines(view.quality.as_ref(), area.width);
    let watched = watched_lines(view, area.width);
    let heights = [
        1 + rows(view.accounts.len(), ACCOUNTS),
        1 + rows(view.lines.len(), LINES),
        if watched.is_empty() { 0 } else { 1 + rows(watched.len(), WATCHED) },
        if view.lines.is_empty() { 0 } else { 3 + quality.len() as u16 },
        2,
    ];
    let notices = view.notices.len() as u16;
    let [accounts, lines, lamps, sound, dial, log, told, help] = Layout::vertical([
        Constraint::Length(heights[0]),
        Constraint::Length(heights[1]),
        Constraint::Length(heights[2]),
        Constraint::Length(heights[3]),
        Constraint::Length(heights[4]),
        Constraint::Min(0),
        Constraint::Length(notices),
        Constraint::Length(keys.len() as u16),
    ])
    .areas(area);
    draw_accounts(view, frame, accounts);
    draw_lines(view, frame, lines);
    section("Watched", watched, frame, lamps);
    draw_sound(view, quality, frame, sound);
    draw_dial(view, frame, dial);
    let rows = view.log.iter().map(log_line).collect();
    section("Past calls", rows, frame, log);
    let told_lines: Vec<Line<'_>> = view.notices.iter().map(|notice| Line::raw(notice.as_str())).collect();
    frame.render_widget(Paragraph::new(told_lines).style(Modifier::BOLD), told);
    frame.render_widget(Paragraph::new(keys), help);
}

fn style(tint: Tint) -> Style {
    match tint {
        Tint::Plain => Style::new(),
        Tint::Good => Style::new().fg(Color::Green),
        Tint::Busy => Style::new().fg(Color::Yellow),
        Tint::Bad => Style::new().fg(Color::Red),
    }
}

fn section(title: &str, lines: Vec<Line<'_>>, frame: &mut Frame<'_>, area: Rect) {
    if area.height > 0 {
        let block = Block::new().borders(Borders::TOP).title(format!(" {title} "));
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

/// The part of `all` that has room and contains the one that counts.
fn around<T>(all: &[T], counts: impl Fn(&T) -> bool, room: u16) -> &[T] {
    let room = usize::from(room).max(1);
    let at = all.iter().position(counts).unwrap_or(0);
    let first = at.saturating_sub(room - 1);
    all.get(first..all.len().min(first + room)).unwrap_or_default()
}

fn marker(chosen: bool) -> Span<'static> {
    Span::raw(if chosen { "▸ " } else { "  " })
}

fn draw_accounts(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let mut title = "softphone".to_owned();
    for mode in &view.modes {
        title.push_str(" · ");
        title.push_str(mode);
    }
    let row = |row: &AccountRow| {
        let name = Span::raw(format!("{}  ", row.name));
        let state = Span::styled(row.state.clone(), style(row.tint));
        Line::from(vec![marker(row.current && view.accounts.len() > 1), name, state])
    };
    let shown = around(&view.accounts, |row| row.current, area.height.saturating_sub(1));
    section(&title, shown.iter().map(row).collect(), frame, area);
}

fn draw_lines(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let row = |row: &LineRow| {
        let state = Span::styled(format!("{:<14}", row.state), style(row.tint));
        let time = Span::raw(format!("{:>8}  ", row.time.as_deref().unwrap_or_default()));
        let peer = Span::styled(row.peer.clone(), Modifier::BOLD);
        let marks = if row.marks.is_empty() { String::new() } else { format!("({})  ", row.marks) };
        Line::from(vec![marker(row.chosen), state, time, Span::raw(marks), peer])
    };
    let shown = around(&view.lines, |row| row.chosen, area.height.saturating_sub(1));
    let mut lines: Vec<Line<'_>> = shown.iter().map(row).collect();
    if lines.is_empty() {
        lines.push(Line::raw("  no call"));
    }
    section("Lines", lines, frame, area);
}

fn draw_sound(view: &View, quality: Vec<Line<'static>>, frame: &mut Frame<'_>, area: Rect) {
    let mut lines =
        vec![meter("microphone", view.microphone, area.width), meter("speaker", view.speaker, area.width)];
    lines.extend(quality);
    section("Sound", lines, frame, area);
}

/// A name, a bar from [`SOFTEST`] to full scale, and the level in words.
fn meter(name: &str, level: Option<i8>, width: u16) -> Line<'static> {
    let room = usize::from(width.saturating_sub(26)).min(48);
    let part = level.map_or(0, |level| usize::from((level.clamp(SOFTEST, 0) - SOFTEST).unsigned_abs()));
    let full = part * room / usize::from(SOFTEST.unsigned_abs());
    let said = level.map_or_else(|| "silent".to_owned(), |level| format!("{level} dB"));
    let tint = match level {
        Some(-6..) => Tint::Bad,
        Some(_) | None => Tint::Good,
    };
    Line::from(vec![
        Span::raw(format!("  {name:<11} ")),
        Span::styled("█".repeat(full), style(tint)),
        Span::styled("░".repeat(room - full), Modifier::DIM),
        Span::raw(format!(" {said}")),
    ])
}

/// The figures, as many in a line as have room.
fn quality_lines(quality: Option<&Quality>, width: u16) -> Vec<Line<'static>> {
    let figures = quality.map(|quality| &quality.figures[..]).unwrap_or_default();
    let pieces = figures.iter().map(|(name, value)| {
        let spans =
            vec![Span::styled(format!("{name} "), Modifier::DIM), Span::raw(value.clone()), Span::raw("   ")];
        Line::from(spans)
    });
    flow(pieces, width, "  ")
}

/// The watched numbers, as many in a line as have room.
fn watched_lines(view: &View, width: u16) -> Vec<Line<'static>> {
    let piece = |row: &WatchedRow| {
        let name = if row.chosen { Modifier::REVERSED } else { Modifier::BOLD };
        Line::from(vec![
            Span::styled("● ", style(row.tint)),
            Span::styled(row.name.clone(), name),
            Span::raw(" "),
            Span::styled(row.state.clone(), style(row.tint)),
            Span::raw("   "),
        ])
    };
    flow(view.watched.iter().map(piece), width, "  ")
}

fn draw_dial(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let prompt = if view.dial.cursor.is_some() { "▸ " } else { "  " };
    let room = usize::from(area.width.saturating_sub(4));
    // As much is scrolled over as it takes to see the cursor.
    let cursor = view.dial.cursor.unwrap_or(0);
    let before: String = view.dial.text.chars().take(cursor).collect();
    let first = (0..=cursor).find(|first| width_from(&before, *first) <= room).unwrap_or(cursor);
    let seen: String = view.dial.text.chars().skip(first).collect();
    let hint = match (view.dial.cursor, view.dial.text.is_empty(), view.pressed.is_empty()) {
        (Some(_), true, _) => Span::styled("a number or an address", Modifier::DIM),
        (None, true, false) => Span::raw(format!("pressed {}", view.pressed)),
        (Some(_) | None, _, _) => Span::raw(seen),
    };
    section("Call", vec![Line::from(vec![Span::raw(prompt), hint])], frame, area);
    if view.dial.cursor.is_some() && area.height > 1 {
        let column = 2 + width_from(&before, first).min(room);
        frame.set_cursor_position(Position::new(area.x + column as u16, area.y + 1));
    }
}

/// Columns that text takes from a character on.
fn width_from(text: &str, first: usize) -> usize {
    Span::raw(text.chars().skip(first).collect::<String>()).width()
}

fn log_line(row: &LogRow) -> Line<'_> {
    Line::from(vec![
        Span::raw(format!("  {} {:<24}  {:<12}  ", row.arrow, row.peer, row.ago)),
        Span::styled(row.outcome.as_str(), style(row.tint)),
    ])
}

fn key_lines(view: &View, width: u16) -> Vec<Line<'static>> {
    let pieces = view.keys.iter().map(|(key, does)| {
        Line::from(vec![Span::styled(*key, Modifier::REVERSED), Span::raw(format!(" {does}  "))])
    });
    flow(pieces, width, "")
}

/// Pieces one after the other, in as many lines as it takes.
fn flow(pieces: impl Iterator<Item = Line<'static>>, width: u16, margin: &'static str) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.width() + piece.width() <= usize::from(width) => {
                line.spans.extend(piece.spans)
            }
            Some(_) | None => {
                let mut line = Line::raw(margin);
                line.spans.extend(piece.spans);
                lines.push(line);
            }
        }
    }
    lines
}
