//! How long a page of 500 rows takes, from the request to events, over loopback.
//!
//! Prints microseconds per row; the answer itself is ready-made, so what is measured is the
//! client: HTTP, JSON, one copy of each row.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use slated_model::EventId;
use slated_site::{Client, Query, Settings};

const ROWS: u64 = 500;
const ROUNDS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    let body = body();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ROWS} rows, {} bytes a row", body.len() as u64 / ROWS)?;
    std::thread::spawn(move || serve(&listener, &body));

    let client = Client::new(Settings::new(url, "bench", "key".into()))?;
    let query = Query::Ranges {
        least: EventId(1),
        ranges: vec![(EventId(1), None)],
        ids: Vec::new(),
        limit: 500,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut best = Duration::MAX;
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let page = runtime.block_on(client.read(&query))?;
        if page.events.len() as u64 != ROWS {
            return Err("not the page that was served".into());
        }
        best = best.min(page.took);
    }
    let per_row = |took: Duration| took.as_secs_f64() * 1e6 / ROWS as f64;
    let mean = began.elapsed() / ROUNDS;
    writeln!(
        out,
        "mean {:.2} µs a row, best {:.2} µs a row",
        per_row(mean),
        per_row(best)
    )?;
    Ok(())
}

/// Writes a page of status changes as a site spells them.
fn body() -> Vec<u8> {
    let row = |id: u64| {
        format!(
            r#"{{"type":"EventLogEntry","id":{id},"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","created_at":"2018-11-28T15:43:07Z","entity":{{"id":11793,"name":"Art","type":"Task"}},"meta":{{"type":"attribute_change","attribute_name":"sg_status_list","entity_type":"Task","entity_id":11793,"field_data_type":"status_list","old_value":"fin","new_value":"wtg"}},"project":{{"id":1,"name":"Bunny","type":"Project"}},"session_uuid":"e8b61250-f31b-11e8-bb75-0242ac110004","user":{{"id":42,"name":"Ford Escort","type":"HumanUser"}}}}"#
        )
    };
    let rows: Vec<_> = (1..=ROWS).map(row).collect();
    format!(r#"{{"results":{{"entities":[{}]}}}}"#, rows.join(",")).into_bytes()
}

/// Answers every request with the page, one connection after the other.
fn serve(listener: &TcpListener, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = [head.as_bytes(), body].concat();
    loop {
        let (stream, _) = listener.accept().ok()?;
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        let mut length = 0;
        while reader.read_line(&mut line).ok()? > 0 {
            if let Some((_, value)) = line.split_once("content-length: ") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                reader.read_exact(&mut vec![0; length]).ok()?;
                (&stream).write_all(&answer).ok()?;
            }
            line.clear();
        }
    }
}
