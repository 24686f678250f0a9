//! The client against the simulator: the same faults from the side of a whole site.

#[cfg(test)]
mod against_the_simulator {
    use std::time::Duration;

    use slated_model::EventId;
    use slated_sim::{Corruption, Effect, EventRow, Fault, SCRIPTS, Server, Site, SiteOptions};
    use slated_site::{Client, Page, Query, Settings};

    struct World {
        site: Site,
        server: Server,
        client: Client,
    }

    async fn world(events: u64) -> World {
        let site = Site::new(SiteOptions::default());
        site.seed_events(events, Duration::from_hours(1));
        let server = Server::start(site.clone(), "127.0.0.1:0").await.unwrap();
        let script = SCRIPTS[0];
        let client = connect(&server, server.key(script));
        World {
            site,
            server,
            client,
        }
    }

    fn connect(server: &Server, key: String) -> Client {
        let url = server.url().parse().unwrap();
        let mut settings = Settings::new(url, SCRIPTS[0], key.into());
        settings.timeout = Duration::from_secs(5);
        Client::new(settings).unwrap()
    }

    fn from(least: u64) -> Query {
        Query::Ranges {
            least: EventId(least),
            ranges: vec![(EventId(least), None)],
            ids: Vec::new(),
            limit: 500,
        }
    }
    fn ids(page: &Page) -> Vec<u64> {
        page.events.iter().map(|event| event.id.0).collect()
    }

    #[tokio::test]
    async fn a_moment_is_an_event() {
        let world = world(3).await;
        let at = |hour: u64| format!("2031-05-04T{hour:02}:00:00Z");
        let ids = [9, 10, 10, 12].map(|hour| {
            world.site.log_event(EventRow {
                event_type: "A".into(),
                created_at: at(hour).into(),
                ..EventRow::default()
            })
        });
        for (moment, first) in [
            (at(9), Some(ids[1])),
            ("2031-05-04T09:59:59Z".to_owned(), Some(ids[1])),
            (at(10), Some(ids[3])),
            (at(12), None),
        ] {
            let found = world.client.first_after(&moment).await.unwrap();
            assert_eq!(found, first.map(EventId), "{moment}");
        }
    }

    #[tokio::test]
    async fn a_log_is_read_from_end_to_end() {
        let world = world(1_234).await;
        let info = world.client.info().await.unwrap();
        assert_eq!(info.max_page, Some(500));
        let newest = world.client.newest().await.unwrap().unwrap();
        assert_eq!(newest.id, EventId(1_234));

        let mut all = Vec::new();
        loop {
            let page = world
                .client
                .read(&from(all.len() as u64 + 1))
                .await
                .unwrap();
            assert_eq!(page.requests, 1);
            all.extend(ids(&page));
            if !page.full {
                break;
            }
        }
        assert_eq!(all, (1..=1_234).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn holes_and_head_come_in_one_answer() {
        let world = world(100).await;
        let query = Query::Ranges {
            least: EventId(5),
            ranges: vec![(EventId(1), Some(EventId(7))), (EventId(98), None)],
            ids: vec![EventId(2), EventId(50), EventId(60)],
            limit: 500,
        };
        let page = world.client.read(&query).await.unwrap();
        assert_eq!(page.requests, 1);
        assert_eq!(ids(&page), [5, 6, 7, 50, 60, 98, 99, 100]);
        let some = Query::Ids([3, 300, 4].map(EventId).to_vec());
        assert_eq!(ids(&world.client.read(&some).await.unwrap()), [3, 4]);
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused() {
        let world = world(1).await;
        let stranger = connect(&world.server, "not the key".into());
        let error = stranger.newest().await.unwrap_err();
        assert_eq!(error.class(), "refused");
        assert!(error.to_string().contains("code 102"), "{error}");
        assert!(error.hint().contains("key"));
    }

    #[tokio::test]
    async fn every_spoilt_row_comes_through() {
        for (how, readable) in [
            (Corruption::BadUtf8, true),
            (Corruption::Nan, true),
            (Corruption::Infinity, true),
            (Corruption::ControlCharacter, true),
            (Corruption::LineBreak, true),
            (Corruption::LoneSurrogate, true),
            (Corruption::Cut, false),
            (Corruption::NotJson, false),
        ] {
            let world = world(300).await;
            world.site.spoil(123, how);
            let page = world.client.read(&from(1)).await.unwrap();
            assert_eq!(ids(&page), (1..=300).collect::<Vec<_>>(), "{how:?}");
            let row = &page.events[122];
            assert_eq!(row.is_readable(), readable, "{how:?}: {}", row.text());
            let damaged: Vec<_> = page.damaged.iter().map(|id| id.0).collect();
            assert_eq!(
                damaged,
                if readable { vec![] } else { vec![123] },
                "{how:?}"
            );
            assert!(!row.text().contains('\n') || !readable, "{how:?}");
        }
    }

    #[tokio::test]
    async fn faults_pass_and_the_next_read_is_whole() {
        let world = world(20).await;
        for (effect, class) in [
            (Effect::Status { code: 302 }, "not understood"),
            (Effect::Status { code: 403 }, "refused"),
            (Effect::Status { code: 502 }, "down"),
            (Effect::Maintenance, "down"),
            (Effect::Html, "down"),
            (Effect::Empty, "down"),
            (Effect::Reset { applied: false }, "down"),
            (Effect::Close { applied: true }, "down"),
            (Effect::HalfBody, "down"),
            (Effect::AuthRefused, "refused"),
        ] {
            world.site.add_fault(Fault::new(effect.clone()).times(1));
            let error = world.client.read(&from(1)).await.unwrap_err();
            assert_eq!(error.class(), class, "{effect:?}: {error}");
            let page = world.client.read(&from(1)).await.unwrap();
            assert_eq!(page.events.len(), 20, "{effect:?}");
        }
        assert!(world.site.faults().is_empty());
    }
}
