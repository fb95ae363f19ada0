//! A native program to run under a manager; it depends on nothing but the standard library.
//!
//! `ostler-fixture serve` · `flood MEGABYTES` · `torture SEED LINES` · `count LINES [PAUSE_US] [EXIT_CODE]` ·
//! `stamp FILE` · `memory MEGABYTES` · `abort` · `descriptors FILE`

#[path = "../torture.rs"]
mod torture;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use torture::{Random, Torture};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            drop(writeln!(io::stderr(), "ostler-fixture {words:?}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> io::Result<u8> {
    match words {
        ["serve"] => serve(),
        ["flood", megabytes] => flood(number(megabytes)?),
        ["torture", seed, lines] => torture(number(seed)?, number(lines)?),
        ["count", lines] => count(number(lines)?, 0, 0),
        ["count", lines, pause] => count(number(lines)?, number(pause)?, 0),
        ["count", lines, pause, code] => count(number(lines)?, number(pause)?, number(code)?),
        ["stamp", file] => stamp(file),
        ["memory", megabytes] => memory(number(megabytes)?),
        ["abort"] => std::process::abort(),
        ["descriptors", file] => descriptors(file),
        _ => Err(io::Error::other("unknown order")),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> io::Result<T> {
    word.parse()
        .map_err(|_| io::Error::other(format!("{word} is no number")))
}

/// Waits until it is killed.
fn wait() -> ! {
    loop {
        std::thread::park();
    }
}

/// Answers every connection with `ok <pid> native`.
fn serve() -> io::Result<u8> {
    let port = std::env::var("PORT").map_err(io::Error::other)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number(&port)?))?;
    for stream in listener.incoming() {
        // A client that went away is no reason to end.
        drop(answer(stream?));
    }
    Ok(0)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let body = format!("ok {} native", std::process::id());
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Writes so many megabytes of 100-byte lines as fast as the pipe takes them, then waits.
fn flood(megabytes: usize) -> io::Result<u8> {
    let block: Vec<u8> = (0..10_000)
        .flat_map(|line| format!("{line:<99}\n").into_bytes())
        .collect();
    for _ in 0..megabytes {
        write_raw(&block)?;
    }
    wait()
}

/// Writes the torture in random pieces by `write(2)` and exits at once with code 7.
fn torture(seed: u64, lines: usize) -> io::Result<u8> {
    let mut pieces = Random::new(seed + 1);
    let mut pending = Vec::new();
    for line in Torture::new(seed, lines) {
        pending.extend(line);
        while pending.len() > 70_000 {
            let piece: Vec<u8> = pending.drain(..=pieces.below(70_000)).collect();
            write_raw(&piece)?;
        }
    }
    write_raw(&pending)?;
    Ok(7)
}

/// Writes the numbers from 0, each with one `write(2)`, every `pause` microseconds, then exits.
fn count(lines: u64, pause: u64, code: u8) -> io::Result<u8> {
    for line in 0..lines {
        write_raw(format!("{line}\n").as_bytes())?;
        std::thread::sleep(Duration::from_micros(pause));
    }
    Ok(code)
}

/// Adds the moment of its start (nanoseconds of the wall clock) to a file, then waits.
fn stamp(file: &str) -> io::Result<u8> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(io::Error::other)?;
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(file, "{}", now.as_nanos())?;
    wait()
}

/// Holds so much resident memory.
fn memory(megabytes: usize) -> io::Result<u8> {
    let held = vec![1_u8; megabytes * 1_000_000];
    writeln!(io::stdout(), "{}", std::hint::black_box(&held).len())?;
    wait()
}

/// Lists its open descriptors in a file, one a line, then waits.
fn descriptors(file: &str) -> io::Result<u8> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // The descriptor of this very listing is gone when it is looked at.
        if let Ok(target) = std::fs::read_link(entry.path())
            && !target.ends_with("fd")
        {
            names.push(format!("{} {}", entry.file_name().to_string_lossy(), target.display()));
        }
    }
    names.sort();
    let unfinished = format!("{file}.part");
    std::fs::write(&unfinished, names.join("\n"))?;
    std::fs::rename(unfinished, file)?;
    wait()
}

/// Writes with as few `write(2)` calls as the pipe allows, past the line buffer of `io::stdout`.
fn write_raw(bytes: &[u8]) -> io::Result<()> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(bytes)
}
