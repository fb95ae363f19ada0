//! The keys, for the help.

/// Key and what it does.
pub const KEYS: [(&str, &str); 18] = [
    ("↑ ↓  k j", "select an app or a worker"),
    ("space", "hide or show the workers of an app"),
    ("o", "order by name, cpu, memory, requests"),
    ("← →  tab  1 2 3", "logs, history, charts"),
    ("PgUp PgDn  [ ]", "scroll by a page, by a line"),
    ("Home End  g G", "to the oldest, to the latest"),
    ("p", "pause the logs, and go on"),
    ("/  n  N", "search the logs, older match, newer match"),
    ("w", "cut long lines, or continue them"),
    ("r", "reload: replace without losing a request"),
    ("R", "restart"),
    ("s", "stop"),
    ("i  +  -", "change the number of instances"),
    ("y  Enter / n  Esc", "yes / no, close"),
    ("m", "mouse: select and scroll, on and off"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-Z", "back to the shell, `fg` returns"),
    ("q  Ctrl-C", "quit; apps go on"),
];
