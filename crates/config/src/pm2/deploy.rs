//! Attributes of version control, modules and deployment.

use super::attribute::Attribute;
use super::kind::Kind;

const PULL: &str = "`pull`, `forward` and `backward` do not exist yet";
const COMMAND_LINE: &str = "it belongs on the command line";

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new("vizion", Kind::Flag, "false", "Read git metadata of the app's folder.")
        .later("git metadata is not read yet"),
    Attribute::new("post_update", Kind::Words, "", "Commands to run after `pull`.").later(PULL),
    Attribute::new(
        "exec_timeout",
        Kind::Milliseconds(0),
        "60s",
        "How long a `post_update` command may take.",
    )
    .later(PULL),
    Attribute::new("install_url", Kind::Text, "", "Where a module came from.").later("modules do not exist yet"),
    Attribute::new("write", Kind::Flag, "false", "Write the resolved config to a file.").ignored(COMMAND_LINE),
    Attribute::new("force", Kind::Flag, "false", "Start again what runs already.").ignored(COMMAND_LINE),
];
