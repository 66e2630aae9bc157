//! Messages on a stream: `Content-Length: N`, an empty line, N bytes of JSON
//! (<https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/#baseProtocol>).
//!
//! lsp-server has the messages. Its reader gives up on the first malformed one; this one says so and goes on with the next.

use std::io::{self, BufRead, Read, Write};

use lsp_server::{ErrorCode, Message};
use serde_json::{Value, json};

/// A line of a header is shorter.
const HEADER_BYTES_MAX: u64 = 8 << 10;
/// Larger messages are refused: an editor sends a file in one.
const BODY_BYTES_MAX: usize = 256 << 20;

/// What comes in.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Message),
    /// Something that is no message; this is the answer to it.
    Malformed(Value),
    /// Where the next message starts can't be told.
    Broken(String),
    Closed,
}

/// Reads the next message.
pub(super) fn read(input: &mut impl BufRead) -> Incoming {
    match body(input) {
        Ok(Some(body)) => match serde_json::from_slice(&body) {
            Ok(message) => Incoming::Message(message),
            Err(error) => Incoming::Malformed(refusal(&body, &error)),
        },
        Ok(None) => Incoming::Closed,
        Err(error) => Incoming::Broken(error.to_string()),
    }
}

/// The answer to what is no message: to its id, if it has one.
fn refusal(body: &[u8], error: &serde_json::Error) -> Value {
    let (code, id, message) = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
            let message = "it is neither a request nor a response nor a notification";
            (ErrorCode::InvalidRequest, id.unwrap_or_default(), message.to_owned())
        }
        Err(_) => (ErrorCode::ParseError, Value::Null, format!("it is no JSON: {error}")),
    };
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code as i32, "message": format!("malformed message: {message}")}})
}

/// The body of the next message; none at the end of the stream.
fn body(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    let mut length: Option<usize> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        input.by_ref().take(HEADER_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let header = text.trim_end_matches(['\r', '\n']);
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':').filter(|_| text.ends_with('\n')) else {
            let start: String = header.chars().take(40).collect();
            return Err(invalid(format!("`{start}` is no header: expected `Content-Length: N`")));
        };
        if name.eq_ignore_ascii_case("content-length") {
            let value = value.trim();
            let parsed = value.parse().map_err(|_| invalid(format!("`Content-Length: {value}` is no length")))?;
            length = Some(parsed);
        }
    }
    let length = length.ok_or_else(|| invalid("a message without `Content-Length`".to_owned()))?;
    if length > BODY_BYTES_MAX {
        return Err(invalid(format!("a message of {length} bytes, above {BODY_BYTES_MAX}")));
    }
    // Grows as bytes come: a length is a claim.
    let mut body = Vec::new();
    input.by_ref().take(length as u64).read_to_end(&mut body)?;
    Ok((body.len() == length).then_some(body))
}

/// Writes a message.
pub(super) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &str) -> Vec<u8> {
        format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn what_is_no_message_is_refused_and_the_next_is_read() {
        let mut stream = framed("{");
        stream.extend(framed(r#"{"jsonrpc":"2.0","id":7}"#));
        stream.extend(framed("[1,2]"));
        stream.extend(framed(r#"{"jsonrpc":"2.0","method":"exit"}"#));
        let mut input = stream.as_slice();
        let codes = [(-32700, Value::Null), (-32600, json!(7)), (-32600, Value::Null)];
        for (code, id) in codes {
            let Incoming::Malformed(answer) = read(&mut input) else { panic!("it is malformed") };
            assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id));
        }
        assert!(matches!(read(&mut input), Incoming::Message(Message::Notification(it)) if it.method == "exit"));
        assert!(matches!(read(&mut input), Incoming::Closed));
    }

    #[test]
    fn what_cannot_be_framed_ends_it() {
        for stream in
            ["hello\r\n\r\n", "Content-Length: x\r\n\r\n", "Other: 1\r\n\r\n{}", "Content-Length: 99999999999\r\n\r\n"]
        {
            assert!(matches!(read(&mut stream.as_bytes()), Incoming::Broken(_)), "{stream}");
        }
        let endless = vec![b'a'; 1 << 20];
        assert!(matches!(read(&mut endless.as_slice()), Incoming::Broken(_)));
        // A message that was cut off is the end of the stream, not one of 200 MB of zeros.
        assert!(matches!(read(&mut &b"Content-Length: 200000000\r\n\r\n{"[..]), Incoming::Closed));
    }
}
