//! What the log thread puts into files, seen from outside: forms, sharing, rotation, flushing, reopening, trouble.

mod logs_common;

use logs_common::{Bench, PATIENCE, error, out, raw_target, rotation, stream, wait_for, write};
use ostler_core::{LogFormat, Rotation, SlotId};
use ostler_daemon::logs::{Logs, StreamKind, Target, Vault, rotated_files};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

#[test]
fn raw_output_is_written_as_it_is_and_at_once() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, b"a prompt \xff\0> ");
    wait_for("the prompt", || bench.content("a.log") == b"a prompt \xff\0> ");
}

#[test]
fn the_file_is_there_soon_after_the_stream_is_with_missing_folders_made() {
    let bench = Bench::new();
    let _pipe = bench.attach(out(0), bench.target("deep/er/a.log"));
    wait_for("the log", || bench.path("deep/er/a.log").exists());
    let mode = std::fs::metadata(bench.path("deep/er/a.log"))
        .expect("the log")
        .permissions()
        .mode();
    assert_eq!(mode & 0o137, 0, "readable by owner and group at most");
}

#[test]
fn every_line_gets_one_date_and_an_unfinished_last_one_is_ended() {
    let bench = Bench::new();
    let target = Target {
        date_format: Some("[<]YYYY[>]".into()),
        ..bench.target("a.log")
    };
    let pipe = bench.attach(out(0), target);
    for piece in ["on", "e\n", "\ntwo\nthr", "ee"] {
        write(&pipe, piece.as_bytes());
        bench.ended(stream(9, 1, StreamKind::Out));
    }
    bench.ended(out(0));
    let text = String::from_utf8(bench.content("a.log")).expect("text");
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split_once(": ").expect("a date").1)
        .collect();
    assert_eq!(lines, ["one", "", "two", "three"]);
    assert!(
        text.ends_with('\n')
            && text
                .lines()
                .all(|line| line.starts_with("<20") && line.matches('<').count() == 1)
    );
}

#[test]
fn json_lines_have_the_keys_of_pm2_and_one_object_each() {
    let bench = Bench::new();
    let target = Target {
        format: LogFormat::Json,
        ..bench.target("a.log")
    };
    let pipe = bench.attach(error(3), target);
    write(&pipe, b"o1\n\"q\" \xff\xc3\xa9\nrest");
    bench.ended(error(3));
    let text = String::from_utf8(bench.content("a.log")).expect("text");
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    let messages: Vec<&str> = objects.iter().filter_map(|object| object["message"].as_str()).collect();
    assert_eq!(messages, ["o1\n", "\"q\" \u{FFFD}é\n", "rest"]);
    let keys: Vec<&String> = objects[0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["message", "timestamp", "type", "process_id", "app_name"]);
    let stamp = objects[0]["timestamp"].as_str().expect("a timestamp");
    assert!(stamp.len() == 24 && stamp.ends_with('Z'), "{stamp}");
    assert_eq!(
        (&objects[0]["type"], &objects[0]["process_id"]),
        (&"err".into(), &3.into())
    );
}

#[test]
fn a_json_line_that_is_too_long_becomes_several_objects_of_whole_characters() {
    let bench = Bench::new();
    let target = Target {
        format: LogFormat::Json,
        ..bench.target("a.log")
    };
    let pipe = bench.attach(out(0), target);
    let line = "x".to_owned() + &"€".repeat(100_000) + "\n";
    write(&pipe, line.as_bytes());
    bench.ended(out(0));
    let text = String::from_utf8(bench.content("a.log")).expect("text");
    let objects: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    let joined: String = objects.iter().filter_map(|object| object["message"].as_str()).collect();
    assert_eq!(joined, line);
    let (last, others) = objects.split_last().expect("objects");
    assert!(last.get("partial").is_none() && others.iter().all(|object| object["partial"] == true));
}

#[test]
fn streams_that_share_a_file_never_cut_each_others_lines() {
    let bench = Bench::new();
    let first = bench.attach(out(0), bench.target("a.log"));
    let second = bench.attach(out(1), bench.target("a.log"));
    for number in 0..200 {
        write(&first, b"first ");
        write(&second, b"second ");
        bench.ended(stream(9, 1, StreamKind::Out));
        write(&second, format!("{number}\n").as_bytes());
        write(&first, format!("{number}\n").as_bytes());
    }
    write(&first, b"unfinished");
    bench.ended(out(0));
    bench.ended(out(1));
    let text = String::from_utf8(bench.content("a.log")).expect("text");
    for name in ["first", "second"] {
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        let expected: Vec<String> = (0..200).map(|number| format!("{name} {number}")).collect();
        assert_eq!(found, expected);
    }
    assert_eq!(text.lines().filter(|line| *line == "unfinished").count(), 1);
}

#[test]
fn a_combined_file_gets_both_outputs() {
    let bench = Bench::new();
    let combined = Some(bench.path("both.log"));
    let plain = bench.attach(
        out(0),
        Target {
            combined: combined.clone(),
            ..bench.target("o.log")
        },
    );
    let wrong = bench.attach(
        error(0),
        Target {
            combined,
            ..bench.target("e.log")
        },
    );
    write(&plain, b"good\n");
    bench.ended(stream(9, 1, StreamKind::Out));
    wait_for("the output", || bench.content("both.log") == b"good\n");
    write(&wrong, b"bad\n");
    bench.ended(out(0));
    assert_eq!(
        (bench.content("o.log"), bench.content("e.log")),
        (b"good\n".to_vec(), b"bad\n".to_vec())
    );
    assert_eq!(bench.content("both.log"), b"good\nbad\n");
}

#[test]
fn the_next_process_does_not_continue_the_line_of_the_last_one() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, b"Segf");
    bench.ended(out(0));
    assert_eq!(bench.content("a.log"), b"Segf", "raw output gets nothing added");
    let next = stream(0, 2, StreamKind::Out);
    let pipe = bench.attach(next, bench.target("a.log"));
    write(&pipe, b"listening\n");
    bench.ended(next);
    assert_eq!(bench.content("a.log"), b"Segf\nlistening\n");
}

#[test]
fn output_of_grandchildren_is_still_logged_after_the_end_until_the_close() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, b"parent\n");
    bench.ended(out(0));
    write(&pipe, b"child\n");
    wait_for("the child's line", || bench.content("a.log") == b"parent\nchild\n");
    write(&pipe, b"last\n");
    bench.logs.close(out(0).worker);
    bench.ended(out(0));
    assert_eq!(bench.content("a.log"), b"parent\nchild\nlast\n");
    let lost = std::io::Write::write(&mut &pipe, b"x").map_err(|error| error.kind());
    assert_eq!(
        lost,
        Err(std::io::ErrorKind::BrokenPipe),
        "nobody reads the pipe any more"
    );
}

#[test]
fn disabled_logs_make_no_file_and_do_not_block_the_app() {
    let bench = Bench::new();
    let pipe = bench.attach(
        out(0),
        Target {
            disabled: true,
            ..bench.target("a.log")
        },
    );
    write(&pipe, &vec![b'x'; 5 << 20]);
    bench.ended(out(0));
    assert!(!bench.path("a.log").exists());
}

#[test]
fn flushing_empties_files_open_or_not_and_output_goes_on_from_the_beginning() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, b"old\n");
    bench.ended(out(0));
    std::fs::write(bench.path("other.log"), "of a stopped app").expect("a file");
    let failed = bench.flush(vec![
        bench.path("a.log"),
        bench.path("other.log"),
        bench.path("none.log"),
    ]);
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(bench.content("other.log"), b"");
    write(&pipe, b"new\n");
    bench.ended(out(0));
    assert_eq!(bench.content("a.log"), b"new\n");
}

#[test]
fn after_an_external_rename_and_reopen_the_next_line_is_in_the_new_file() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, b"one\n");
    bench.ended(out(0));
    std::fs::rename(bench.path("a.log"), bench.path("a.log.1")).expect("a rename");
    write(&pipe, b"two\n");
    bench.ended(out(0));
    assert_eq!(bench.reopen(), Vec::<String>::new());
    write(&pipe, b"three\n");
    bench.ended(out(0));
    assert_eq!(
        (bench.content("a.log.1"), bench.content("a.log")),
        (b"one\ntwo\n".to_vec(), b"three\n".to_vec())
    );
}

#[test]
fn a_log_that_was_deleted_or_cut_from_outside_goes_on() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, b"one\n");
    bench.ended(out(0));
    std::fs::remove_file(bench.path("a.log")).expect("a deletion");
    write(&pipe, b"two\n");
    bench.ended(out(0));
    assert_eq!(bench.content("a.log"), b"two\n");
    std::fs::write(bench.path("a.log"), "").expect("a truncation");
    write(&pipe, b"three\n");
    bench.ended(out(0));
    assert_eq!(bench.content("a.log"), b"three\n", "no hole where the old content was");
}

#[test]
fn rotated_files_are_compressed_and_joined_they_are_everything() {
    let bench = Bench::new();
    let rotation = Rotation {
        compress: true,
        ..rotation(10_000)
    };
    let pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(rotation),
            ..bench.target("a.log")
        },
    );
    let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
    write(&pipe, lines.as_bytes());
    bench.ended(out(0));
    let is_compressed = |file: &std::path::PathBuf| file.extension().is_some_and(|extension| extension == "gz");
    let log = bench.path("a.log");
    wait_for("compression", || {
        rotated_files(&log).expect("a listing").iter().all(is_compressed)
    });
    assert!(rotated_files(&log).expect("a listing").len() >= 4);
    assert_eq!(bench.all_content("a.log"), lines.as_bytes());
    let left: Vec<_> = std::fs::read_dir(bench.folder.path())
        .expect("a listing")
        .flatten()
        .collect();
    let plain = left.iter().filter(|entry| !is_compressed(&entry.path())).count();
    assert_eq!(plain, 1, "only the log itself is not compressed");
}

#[test]
fn only_the_newest_rotated_files_are_kept_by_number_and_by_size() {
    let bench = Bench::new();
    let limits = Rotation {
        keep: 5,
        max_total: Some(3500),
        ..rotation(1000)
    };
    let pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(limits),
            ..bench.target("a.log")
        },
    );
    let lines: String = (0..1000).map(|number| format!("{number:09}\n")).collect();
    write(&pipe, lines.as_bytes());
    bench.ended(out(0));
    let log = bench.path("a.log");
    wait_for("deletion", || rotated_files(&log).expect("a listing").len() == 3);
    let kept = bench.all_content("a.log");
    assert!(
        lines.as_bytes().ends_with(&kept),
        "what is kept is the end of everything"
    );
}

#[test]
fn an_old_file_is_rotated_whatever_its_size() {
    let bench = Bench::new();
    let limits = Rotation {
        max_age: Some(Duration::from_millis(50)),
        ..rotation(1 << 30)
    };
    let pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(limits),
            ..bench.target("a.log")
        },
    );
    wait_for("a rotation", || {
        write(&pipe, b"tick\n");
        !rotated_files(&bench.path("a.log")).expect("a listing").is_empty()
    });
    write(&pipe, b"end\n");
    bench.ended(out(0));
}

#[test]
fn a_huge_log_that_exists_already_is_only_renamed() {
    let bench = Bench::new();
    let file = std::fs::File::create(bench.path("a.log")).expect("a file");
    file.set_len(20 << 30).expect("a sparse file");
    std::io::Write::write_all(
        &mut std::fs::File::options()
            .append(true)
            .open(bench.path("a.log"))
            .expect("it"),
        b"\n",
    )
    .expect("an end of line");
    let inode = file.metadata().expect("its data").ino();
    let pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(rotation(1 << 20)),
            ..bench.target("a.log")
        },
    );
    write(&pipe, b"new\n");
    bench.ended(out(0));
    assert_eq!(bench.content("a.log"), b"new\n");
    let rotated = rotated_files(&bench.path("a.log")).expect("a listing");
    assert_eq!(std::fs::metadata(&rotated[0]).expect("its data").ino(), inode);
}

#[test]
fn what_a_killed_daemon_left_half_compressed_is_finished() {
    let bench = Bench::new();
    let name = "a__2026-01-01_00-00-00.log";
    std::fs::write(bench.path(name), "whole\n").expect("a file");
    std::fs::write(bench.path(&format!("{name}.gz.part")), "half").expect("a file");
    let rotation = Rotation {
        compress: true,
        ..rotation(1 << 20)
    };
    let _pipe = bench.attach(
        out(0),
        Target {
            rotation: Some(rotation),
            ..bench.target("a.log")
        },
    );
    wait_for("the compressed file alone", || {
        bench.path(&format!("{name}.gz")).exists() && !bench.path(name).exists()
    });
    assert!(!bench.path(&format!("{name}.gz.part")).exists());
    assert_eq!(bench.all_content("a.log"), b"whole\n");
}

#[test]
fn a_log_that_cannot_be_written_is_told_once_and_does_not_block_the_app() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("a.log")).expect("a folder in the way");
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, &vec![b'x'; 1 << 20]);
    bench.ended(out(0));
    let stats = bench
        .logs
        .stats()
        .remove(&(SlotId(0), StreamKind::Out))
        .expect("statistics");
    assert_eq!(stats.dropped, 1 << 20);
    assert!(stats.last_error.expect("an error").contains("Is a directory"));
    assert_eq!(bench.notes().len(), 1, "{:?}", bench.notes());
    std::fs::remove_dir(bench.path("a.log")).expect("the way freed");
    wait_for("a written line", || {
        write(&pipe, b"back\n");
        bench.ended(out(0));
        bench.notes().len() == 2
    });
    assert!(
        bench.content("a.log").starts_with(b"back\n"),
        "it begins with a whole line"
    );
    assert!(bench.notes()[1].contains("is written again"));
    assert_eq!(bench.logs.stats()[&(SlotId(0), StreamKind::Out)].last_error, None);
}

#[test]
fn a_fifo_without_a_reader_holds_nobody_up() {
    let bench = Bench::new();
    let path = bench.path("a.log");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a fifo");
    let pipe = bench.attach(out(0), bench.target("a.log"));
    write(&pipe, &vec![b'x'; 1 << 20]);
    bench.ended(out(0));
    assert_eq!(bench.logs.stats()[&(SlotId(0), StreamKind::Out)].dropped, 1 << 20);
}

#[test]
fn what_a_predecessor_held_back_of_a_stream_that_is_gone_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let vault = Vault::create().expect("a vault");
    let target = Target {
        format: LogFormat::Json,
        ..raw_target(folder.path().join("a.log"))
    };
    let start = || Logs::start(vault.try_clone().expect("a copy"), |note| panic!("{note}")).expect("logs");
    let predecessor = start();
    let (read, pipe) = std::io::pipe().expect("a pipe");
    write(&pipe, b"half a line");
    predecessor.attach(
        out(0),
        "app".into(),
        OwnedFd::from(read.try_clone().expect("a copy")),
        target,
    );
    wait_for("the bytes to be taken", || {
        rustix::io::ioctl_fionread(&read).expect("a level") == 0
    });
    let (sender, receiver) = std::sync::mpsc::channel();
    predecessor.stop(move || sender.send(()).expect("a waiting test"));
    receiver.recv_timeout(PATIENCE).expect("the end");
    let content = || std::fs::read_to_string(folder.path().join("a.log")).unwrap_or_default();
    assert_eq!(content(), "");
    start().adopted();
    wait_for("the held back line", || {
        content().contains("\"half a line\"") && content().ends_with('\n')
    });
}
