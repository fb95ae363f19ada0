//! Links GCC's unwinder into the program where the toolchain has it as an archive: a shared library less to load takes a tenth of a
//! millisecond from every command, and a system without `libgcc_s.so.1` runs it, too.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let native = std::env::var("HOST") == std::env::var("TARGET");
    if !native || target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // Without the file in question the compiler answers with its bare name.
    let answer = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    let archive = answer.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    if let Some(directory) = archive
        .as_deref()
        .ok()
        .map(Path::new)
        .filter(|path| path.is_absolute())
        .and_then(Path::parent)
    {
        println!("cargo:rustc-link-search=native={}", directory.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}
