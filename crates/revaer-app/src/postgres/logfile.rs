//! `pg.log`: what the database server says, bounded.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Beyond this the log starts anew; one older part is kept.
const MOST_BYTES: u64 = 10 * 1024 * 1024;
/// How much of the end is looked at for a reason.
const TAIL_BYTES: u64 = 8 * 1024;
const TAIL_LINES: usize = 6;

/// Opens the log for the server to append to, and returns where the new part begins.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    trim(path)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let begin = file.metadata()?.len();
    Ok((file, begin))
}

/// Starts the log anew when it is too long. The server goes on with the descriptor that it has, which appends.
pub(super) fn trim(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MOST_BYTES => {
            fs::copy(path, older(path))?;
            OpenOptions::new().write(true).open(path)?.set_len(0)
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// The last lines since `begin`, for an error message; the complaints alone when there are any.
pub(super) fn tail(path: &Path, begin: u64) -> String {
    read_end(path, begin)
        .map_or_else(|error| format!("its log is unreadable: {error}"), |text| last_lines(&text))
}

fn read_end(path: &Path, begin: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = begin.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines that say what is wrong, else simply the last ones.
pub(super) fn last_lines(text: &str) -> String {
    const COMPLAINTS: [&str; 6] = ["FATAL:", "PANIC:", "ERROR:", "error:", "HINT:", "DETAIL:"];
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let complaints: Vec<&str> =
        lines.iter().copied().filter(|line| COMPLAINTS.iter().any(|word| line.contains(word))).collect();
    let chosen = if complaints.is_empty() { &lines } else { &complaints };
    if chosen.is_empty() {
        return "it said nothing".to_owned();
    }
    chosen[chosen.len().saturating_sub(TAIL_LINES)..].join("; ")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_long_log_starts_anew_and_the_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pg.log");
        let (mut writer, begin) = open(&path).unwrap();
        assert_eq!(begin, 0);
        let line = vec![b'x'; 1 << 20];
        for _ in 0..11 {
            writer.write_all(&line).unwrap();
        }
        trim(&path).unwrap();
        writer.write_all(b"FATAL: after\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 13);
        assert_eq!(fs::metadata(dir.path().join("pg.log.1")).unwrap().len(), 11 << 20);
        assert_eq!(tail(&path, 0), "FATAL: after");
    }

    #[test]
    fn complaints_win_over_chatter() {
        assert_eq!(last_lines("LOG:  start\nFATAL:  no\n\nLOG:  stop\n"), "FATAL:  no");
        assert_eq!(last_lines("LOG:  start\nLOG:  stop\n"), "LOG:  start; LOG:  stop");
        assert_eq!(last_lines(""), "it said nothing");
    }
}
