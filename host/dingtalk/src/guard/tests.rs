use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::*;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(short as u8),
        medium @ 126..65_536 => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// What the library would see if the gateway's bytes arrived in pieces of `piece` bytes.
fn filtered(wire: &[u8], piece: usize, max: usize) -> (Vec<u8>, u64) {
    let mut guard = Guard::new((), max);
    let mut out = Vec::new();
    for chunk in wire.chunks(piece) {
        let mut bytes = guard.held[..guard.held_len].to_vec();
        guard.held_len = 0;
        bytes.extend_from_slice(chunk);
        let kept = guard.filter(&mut bytes);
        out.extend_from_slice(&bytes[..kept]);
    }
    (out, guard.oversize)
}

const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\r\n\r\n";

#[test]
fn text_becomes_binary_and_the_rest_is_untouched() {
    let wire = [HEAD, &frame(0x81, b"{\"a\":\xff}"), &frame(0x89, b"ping"), &frame(0x02, &[7; 300])].concat();
    let expected =
        [HEAD, &frame(0x82, b"{\"a\":\xff}"), &frame(0x89, b"ping"), &frame(0x02, &[7; 300])].concat();
    for piece in 1..wire.len() {
        assert_eq!(filtered(&wire, piece, 1000), (expected.clone(), 0), "in pieces of {piece}");
    }
}

#[test]
fn a_message_over_the_limit_is_cut_to_its_start() {
    let long: Vec<u8> = (0..70_000u32).map(|n| n as u8).collect();
    let wire = [HEAD, &frame(0x81, &long), &frame(0x81, b"next")].concat();
    let expected = [HEAD, &frame(0x82, &long[..4096]), &frame(0x82, b"next")].concat();
    for piece in [1, 7, 1000, wire.len()] {
        assert_eq!(filtered(&wire, piece, 65_000), (expected.clone(), 1), "in pieces of {piece}");
    }
    let small = [HEAD, &frame(0x82, &long[..100]), &frame(0x82, b"next")].concat();
    assert_eq!(filtered(&wire, wire.len(), 100), (small, 1));
}

#[test]
fn a_fragmented_message_over_the_limit_ends_early() {
    let wire = [
        HEAD,
        &frame(0x01, b"12345678"),
        &frame(0x89, b"ping"),
        &frame(0x00, b"123"),
        &frame(0x00, b"more"),
        &frame(0x8a, b"pong"),
        &frame(0x80, b"end"),
        &frame(0x81, b"next"),
    ]
    .concat();
    let expected = [
        HEAD,
        &frame(0x02, b"12345678"),
        &frame(0x89, b"ping"),
        &frame(0x80, b""),
        &frame(0x8a, b"pong"),
        &frame(0x82, b"next"),
    ]
    .concat();
    for piece in 1..wire.len() {
        assert_eq!(filtered(&wire, piece, 10), (expected.clone(), 1), "in pieces of {piece}");
    }
}

#[tokio::test]
async fn skipped_bytes_do_not_look_like_the_end() {
    let wire = [HEAD, &frame(0x01, &[1; 50]), &frame(0x80, &[2; 5000]), &frame(0x81, b"x")].concat();
    let mut guard = Guard::new(&wire[..], 10);
    let mut seen = Vec::new();
    let mut chunk = [0; 64];
    loop {
        let count = guard.read(&mut chunk).await.unwrap();
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&chunk[..count]);
    }
    assert_eq!(seen, [HEAD, &frame(0x82, &[1; 10]), &frame(0x82, b"x")].concat());
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same(
        mut wire in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..50, max in 0usize..200
    ) {
        let mut all = HEAD.to_vec();
        all.append(&mut wire);
        let whole = filtered(&all, all.len(), max);
        prop_assert!(whole.0.len() <= all.len());
        prop_assert_eq!(filtered(&all, piece, max), whole);
    }
}
