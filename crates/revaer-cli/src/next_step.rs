//! What the server says to do over HTTP, in the words of whoever sits at a terminal.

/// What the server names, and the command that does it. Longer ones stand before what they contain.
const COMMANDS: [(&str, &str); 10] = [
    ("POST /admin/setup/start or `revaer setup start`", "`revaer setup start`"),
    ("POST /admin/setup/start", "`revaer setup start`"),
    ("PATCH /admin/settings", "`revaer config set`"),
    ("GET /admin/settings/history", "`revaer config history`"),
    ("GET /admin/settings", "`revaer config get`"),
    ("through /admin/settings", "with `revaer config set`"),
    ("GET /v1/torrents", "`revaer ls`"),
    ("GET /v1/auth/keys", "`revaer keys ls`"),
    ("POST /v1/auth/keys", "`revaer keys issue`"),
    ("GET /v1/query-presets", "`revaer presets ls`"),
];

/// `text` with commands in place of the requests that they send.
pub(crate) fn in_commands(text: &str) -> String {
    COMMANDS.iter().fold(text.to_owned(), |text, (request, command)| replaced(&text, request, command))
}

fn replaced(text: &str, request: &str, command: &str) -> String {
    let mut parts = text.split(request);
    let mut done = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        // A longer path is another request.
        let ends_here = !rest.starts_with(|one: char| one.is_ascii_alphanumeric() || "/?{_-".contains(one));
        done.push_str(if ends_here { command } else { request });
        done.push_str(rest);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_the_commands_that_send_them() {
        for (said, told) in [
            (
                "there is no torrent 7; GET /v1/torrents lists those there are",
                "there is no torrent 7; `revaer ls` lists those there are",
            ),
            (
                "the server is set up already; change it through PATCH /admin/settings",
                "the server is set up already; change it through `revaer config set`",
            ),
            (
                "the server is set up; change it through /admin/settings",
                "the server is set up; change it with `revaer config set`",
            ),
            (
                "issue a new one with POST /admin/setup/start or `revaer setup start`",
                "issue a new one with `revaer setup start`",
            ),
            (
                "no such revision; GET /admin/settings/history lists them",
                "no such revision; `revaer config history` lists them",
            ),
            ("GET /v1/torrents/7/peers, GET /v1/torrents", "GET /v1/torrents/7/peers, `revaer ls`"),
            ("plain", "plain"),
        ] {
            assert_eq!(in_commands(said), told);
        }
    }
}
