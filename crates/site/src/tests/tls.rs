//! Certificates of a studio's own authority.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::look;
use super::server::settings;
use crate::{Client, Settings};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/tls");

/// A site whose certificate no public authority has signed; ends with the test.
struct Sealed {
    child: Child,
    settings: Settings,
}

impl Sealed {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args([format!("{FILES}/server.py"), format!("{FILES}/server.pem")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut port).unwrap();
        let url = format!("https://localhost:{}", port.trim());
        Self {
            child,
            settings: settings(url.parse().unwrap()),
        }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_site_with_the_studios_own_certificate_is_read_with_its_authority() {
    let site = Sealed::start();

    let stranger = Client::new(site.settings.clone()).unwrap();
    let error = stranger.read(&look(7)).await.unwrap_err();
    assert!(error.is_down(), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(error.hint().contains("authority"), "{}", error.hint());

    let mut known = site.settings.clone();
    known.ca_file = Some(format!("{FILES}/authority.pem").into());
    let page = Client::new(known).unwrap().read(&look(7)).await.unwrap();
    assert_eq!(page.events[0].head.event_type.as_deref(), Some("sealed"));
}
