//! What is not sent to the builder: what is installed anew there, what is secret, what an app writes.

use super::Base;

pub(super) fn text(base: Base) -> String {
    let common = [
        "# Made by `ostler export dockerfile`: what does not belong into the image.",
        ".git",
        ".gitignore",
        ".dockerignore",
        "Dockerfile*",
        "# Secrets come from outside.",
        "**/.env",
        "**/.env.*",
        "**/*.pem",
        "**/*.key",
        "# What runs writes.",
        "**/*.log",
        "**/*.pid",
        "logs/",
    ];
    let own: &[&str] = match base {
        Base::Node | Base::Bun | Base::Deno => &[
            "# Installed in the image.",
            "**/node_modules",
            "npm-debug.log*",
            "coverage/",
            ".next/cache",
        ],
        Base::Python => &[
            "# Installed in the image.",
            "**/__pycache__",
            "**/*.pyc",
            ".venv",
            "venv",
            ".pytest_cache",
        ],
        Base::System => &[],
    };
    common.iter().chain(own).map(|line| format!("{line}\n")).collect()
}
