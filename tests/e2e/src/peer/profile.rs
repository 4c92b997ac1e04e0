//! The profile of a qBittorrent that keeps to loopback: no DHT, LSD, `PeX` or port forwarding, no queue, no log-in.

use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context, Result};

/// Where it listens.
pub(super) struct Ports {
    pub(super) listen: SocketAddrV4,
    pub(super) web: SocketAddrV4,
}

/// Writes `qBittorrent.conf` beneath `folder`, the way `--profile` expects it.
pub(super) fn write(folder: &Path, ports: &Ports, downloads: &Path) -> Result<()> {
    let config = folder.join("qBittorrent/config");
    std::fs::create_dir_all(&config).with_context(|| format!("cannot make {}", config.display()))?;
    let path = config.join("qBittorrent.conf");
    std::fs::write(&path, text(ports, downloads)).with_context(|| format!("cannot write {}", path.display()))
}

fn text(ports: &Ports, downloads: &Path) -> String {
    format!(
        "[LegalNotice]\n\
         Accepted=true\n\
         \n\
         [BitTorrent]\n\
         Session\\AddExtensionToIncompleteFiles=false\n\
         Session\\DHTEnabled=false\n\
         Session\\DefaultSavePath={downloads}\n\
         Session\\IgnoreLimitsOnLAN=false\n\
         Session\\InterfaceAddress={listen_ip}\n\
         Session\\LSDEnabled=false\n\
         Session\\MultiConnectionsPerIp=true\n\
         Session\\PeXEnabled=false\n\
         Session\\Port={listen_port}\n\
         Session\\QueueingSystemEnabled=false\n\
         Session\\TempPathEnabled=false\n\
         \n\
         [Network]\n\
         PortForwardingEnabled=false\n\
         \n\
         [Preferences]\n\
         General\\Locale=en\n\
         WebUI\\Address={web_ip}\n\
         WebUI\\CSRFProtection=false\n\
         WebUI\\Enabled=true\n\
         WebUI\\HostHeaderValidation=false\n\
         WebUI\\LocalHostAuth=false\n\
         WebUI\\Port={web_port}\n\
         WebUI\\UseUPnP=false\n",
        downloads = downloads.display(),
        listen_ip = ports.listen.ip(),
        listen_port = ports.listen.port(),
        web_ip = ports.web.ip(),
        web_port = ports.web.port(),
    )
}
