//! `text/event-stream`, read from pieces that end anywhere: within a line, within a character.

/// The longest event, in bytes; a model's pieces have a few hundred.
const LONGEST: usize = 1 << 20;

/// What came so far and is no whole event yet.
#[derive(Default)]
pub(crate) struct Sse {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet; none if it has none.
    data: Option<Vec<u8>>,
    /// The line before ended with a carriage return: a line feed belongs to it.
    returned: bool,
    /// A first line was read.
    begun: bool,
}

/// An event is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Sse {
    /// Takes the next piece and returns the data of every event that is whole now.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        for byte in piece {
            let follows = std::mem::take(&mut self.returned);
            match byte {
                b'\n' if follows => {}
                b'\n' => events.extend(self.end_line()),
                b'\r' => {
                    self.returned = true;
                    events.extend(self.end_line());
                }
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, Vec::len) > LONGEST {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    /// The event that the stream ended in, if any: some servers leave out the empty line behind the last one.
    pub(crate) fn finish(&mut self) -> Option<String> {
        self.end_line().or_else(|| self.end_event())
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        // A line that begins with a colon is a comment, sent to keep the connection alive: its name is empty.
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon.and_then(|at| line.split_at_checked(at)).unwrap_or((line, b""));
        if name == b"data" {
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            }
        }
        None
    }

    fn end_event(&mut self) -> Option<String> {
        self.data.take().map(|data| String::from_utf8_lossy(&data).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}data: {\"a\":\"牛奶\"}\n\n: keep-alive\n\nevent: x\r\ndata:one\r\ndata: two\r\n\r\nid: 7\n\n\
                          data\n\ndata: [DONE]\r\r";

    fn read(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
        let mut sse = Sse::default();
        let mut events: Vec<String> = pieces.flat_map(|piece| sse.push(piece.as_ref()).unwrap()).collect();
        events.extend(sse.finish());
        events
    }

    #[test]
    fn pieces_may_end_anywhere() {
        let wanted = ["{\"a\":\"牛奶\"}", "one\ntwo", "", "[DONE]"];
        assert_eq!(read([STREAM].into_iter()), wanted);
        for size in 1..20 {
            assert_eq!(read(STREAM.as_bytes().chunks(size)), wanted, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn the_last_event_needs_no_empty_line() {
        assert_eq!(read(["data: a\n\nda", "ta: b"].into_iter()), ["a", "b"]);
        assert_eq!(read(["data: a\n\n"].into_iter()), ["a"]);
        assert_eq!(read([": only a comment"].into_iter()), Vec::<String>::new());
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut sse = Sse::default();
        assert_eq!(sse.push(&vec![b'x'; LONGEST + 1]), Err(TooLong));
        let (mut sse, line) = (Sse::default(), format!("data: {}\n", "x".repeat(1000)));
        let refused = (0..2000).find_map(|_| sse.push(line.as_bytes()).err());
        assert_eq!(refused, Some(TooLong));
    }
}
