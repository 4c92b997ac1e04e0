//! Finds the system's libtorrent and builds the shim with exactly the defines that the library was built with:
//! they change class layouts, so one that is missing corrupts memory instead of failing.

const LIBRARY: &str = "libtorrent-rasterbar";
const OLDEST: &str = "2.0.8";

fn main() {
    for file in
        ["build.rs", "src/ffi.rs", "src/shim.h", "src/shim.cc", "src/shim_alerts.cc", "src/shim_metainfo.cc"]
    {
        println!("cargo:rerun-if-changed={file}");
    }
    let found = match pkg_config::Config::new().atleast_version(OLDEST).cargo_metadata(false).probe(LIBRARY) {
        Ok(found) => found,
        Err(error) => {
            eprintln!(
                "{LIBRARY} {OLDEST} or newer is needed to build Revaer, and was not found.\n\
                 Debian and Ubuntu: apt-get install libtorrent-rasterbar-dev pkg-config g++\n\
                 {error}"
            );
            std::process::exit(1);
        }
    };
    let mut build = cxx_build::bridge("src/ffi.rs");
    build.std("c++17").flag_if_supported("-Wno-deprecated-declarations");
    build.files(["src/shim.cc", "src/shim_alerts.cc", "src/shim_metainfo.cc"]);
    for (name, value) in &found.defines {
        build.define(name, value.as_deref());
    }
    // `/usr/include` is searched anyway, and named twice it hides the compiler's own headers.
    for path in
        found.include_paths.iter().filter(|path| path.as_path() != std::path::Path::new("/usr/include"))
    {
        // System headers: their warnings are not ours.
        build.flag(format!("-isystem{}", path.display()));
    }
    build.compile("revaer-libt-shim");
    for path in &found.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for library in &found.libs {
        println!("cargo:rustc-link-lib={library}");
    }
    println!("cargo:rustc-env=REVAER_LIBTORRENT_HEADERS={}", found.version);
}
