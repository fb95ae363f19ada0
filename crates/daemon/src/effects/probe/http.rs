//! As much of HTTP/1.1 as a probe needs: one request, and the status of its answer (RFC 9112).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much of an answer is read: whoever sends more has answered.
const MOST: usize = 64 * 1024;
/// The longest status line that is one.
const LINE: usize = 1024;

/// Asks for a path. A status from 200 to 399 is well.
///
/// # Errors
/// What is wrong, for people.
pub async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str, host: &str) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ostler-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    let failed = |error: std::io::Error| format!("the connection broke: {error}");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::with_capacity(1024);
    let mut status = None;
    // To its end, within reason: a connection that is closed before is an error to the app.
    while answer.len() < MOST {
        let read = stream.read_buf(&mut answer).await;
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) if status.is_some() => break,
            Err(error) => return Err(failed(error)),
        }
        if status.is_none() {
            status = status_of(&answer)?;
        }
    }
    match status {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("answered {status}")),
        None => Err("the connection was closed without an answer".to_owned()),
    }
}

/// The status in the first line, if that is there.
fn status_of(answer: &[u8]) -> Result<Option<u16>, String> {
    const NOT_HTTP: &str = "what came is no answer of HTTP";
    let Some(end) = memchr::memchr(b'\n', answer) else {
        let begins = b"HTTP/1.".starts_with(&answer[..answer.len().min(7)]);
        let fits = answer.len() < LINE && begins;
        return if fits { Ok(None) } else { Err(NOT_HTTP.to_owned()) };
    };
    let line = std::str::from_utf8(&answer[..end]).unwrap_or_default();
    let rest = line.strip_prefix("HTTP/1.").ok_or(NOT_HTTP)?;
    let code = rest.split_ascii_whitespace().nth(1).ok_or(NOT_HTTP)?;
    code.parse().map(Some).map_err(|_| NOT_HTTP.to_owned())
}

#[cfg(test)]
mod tests {
    use super::status_of;

    #[test]
    fn the_status_is_read_when_its_line_is_there() {
        assert_eq!(status_of(b"HTTP/1.1 20"), Ok(None));
        assert_eq!(status_of(b"HT"), Ok(None));
        assert_eq!(status_of(b"HTTP/1.1 204 No Content\r\n"), Ok(Some(204)));
        assert_eq!(status_of(b"HTTP/1.0 503 \r\nX: y\r\n"), Ok(Some(503)));
        for not in [
            &b"\x15\x03\x01\x00\x02"[..],
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1\r\n",
            b"HTTP/1.1 abc\r\n",
        ] {
            assert!(status_of(not).is_err(), "{not:?}");
        }
    }
}
