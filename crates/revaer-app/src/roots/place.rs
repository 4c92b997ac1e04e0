//! Where a path really lies, and which roots answer for it. Blocks: run off the async workers.
//!
//! A path is judged by its real name, since one place may be reached by several, and by the name that was given, since
//! a link in it may lead elsewhere today. The nearest root answers, unless a mount lies in between: a disk that is
//! mounted beneath a root is not on the root's volume.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::volume::{Mounted, VolumeFault, mounted_at};

/// What answers for a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The roots that have to be what they were.
    pub(super) roots: Vec<PathBuf>,
    /// The real name, where no root answers for it.
    pub(super) unknown: Option<PathBuf>,
}

/// A path without links, and how much of it exists.
#[derive(Debug)]
pub(super) struct Real {
    pub(super) path: PathBuf,
    existing: PathBuf,
}

/// Finds what answers for `path` among the roots.
pub(super) fn find(path: &Path, is_root: impl Fn(&Path) -> bool) -> Result<Place, VolumeFault> {
    let nearest = |path: &Path| path.ancestors().find(|one| is_root(one)).map(Path::to_owned);
    let real = match real(path) {
        Ok(real) => real,
        // A link into nothing is what a volume that is away leaves: whoever answers for the link says more.
        Err(fault) => {
            let roots: Vec<PathBuf> = nearest(path).into_iter().collect();
            return if roots.is_empty() { Err(fault) } else { Ok(Place { roots, unknown: None }) };
        }
    };
    let here = mount_of(&real)?;
    let mut place = Place::default();
    if let Some(given) = nearest(path).filter(|root| is_on(root, here)) {
        place.roots.push(given);
    }
    match nearest(&real.path).filter(|root| is_on(root, here)) {
        None => place.unknown = Some(real.path),
        Some(root) if place.roots.contains(&root) => {}
        Some(root) => place.roots.push(root),
    }
    Ok(place)
}

/// The directories that may stand for an unknown place, the widest first: one root for each volume rather than one for
/// each download. None lies above the directory that content is allowed in, nor on another mount.
pub(super) fn candidates(
    given: &Path,
    unknown: &Path,
    allowed: &[PathBuf],
) -> Result<Vec<PathBuf>, VolumeFault> {
    let here = mount_of(&real(unknown)?)?;
    let widest = allowed
        .iter()
        // Only those that concern it are looked at: another may hang.
        .filter(|one| given.starts_with(one) || unknown.starts_with(one))
        .filter_map(|one| real(one).ok())
        .map(|one| one.path)
        .filter(|one| unknown.starts_with(one))
        .min_by_key(|one| one.components().count())
        .unwrap_or_else(|| unknown.to_owned());
    let mut found: Vec<PathBuf> = unknown
        .ancestors()
        .take_while(|one| one.starts_with(&widest))
        // The root directory is never away.
        .filter(|one| one.parent().is_some())
        .filter(|one| match mounted_at(one) {
            Ok(mounted) => mounted.is_mount_of(here),
            Err(error) => is_missing(&error),
        })
        .map(Path::to_owned)
        .collect();
    found.reverse();
    Ok(found)
}

/// Resolves the links in a path as far as it exists.
pub(super) fn real(path: &Path) -> Result<Real, VolumeFault> {
    for existing in path.ancestors() {
        match existing.canonicalize() {
            Ok(resolved) => {
                let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
                let path = if rest.as_os_str().is_empty() { resolved.clone() } else { resolved.join(rest) };
                return Ok(Real { path, existing: resolved });
            }
            Err(error) if is_missing(&error) => {
                if existing.is_symlink() {
                    return Err(VolumeFault::new(format!(
                        "{} is a link to what is not there: mount its volume, or mend the link",
                        existing.display()
                    )));
                }
            }
            Err(error) => return Err(VolumeFault::io("resolve", existing, &error)),
        }
    }
    Err(VolumeFault::new(format!("{} is not an absolute path", path.display())))
}

fn mount_of(real: &Real) -> Result<Mounted, VolumeFault> {
    mounted_at(&real.existing).map_err(|error| VolumeFault::io("inspect", &real.existing, &error))
}

/// Whether what stands at a root is on the mount `here`. Where that cannot be told, the root answers.
fn is_on(root: &Path, here: Mounted) -> bool {
    match real(root).and_then(|real| mount_of(&real)) {
        Ok(mounted) => mounted.is_mount_of(here),
        Err(_unknown) => true,
    }
}

/// Something on the way is missing, or is a file: then the path cannot exist either.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn base() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        (dir, path)
    }

    #[test]
    fn the_nearest_root_answers_under_both_names() {
        let (_dir, base) = base();
        let (disk, link) = (base.join("disk"), base.join("link"));
        fs::create_dir_all(disk.join("inner")).unwrap();
        symlink(&disk, &link).unwrap();
        let roots = [disk.clone(), disk.join("inner"), link.clone()];
        let find = |path: PathBuf| find(&path, |one| roots.iter().any(|root| root == one)).unwrap();
        assert_eq!(find(disk.join("a/b")), Place { roots: vec![disk.clone()], unknown: None });
        assert_eq!(find(disk.join("inner/a")), Place { roots: vec![disk.join("inner")], unknown: None });
        assert_eq!(find(link.join("a")), Place { roots: vec![link, disk], unknown: None });
        let beside = base.join("disk2/a");
        assert_eq!(find(beside.clone()), Place { roots: Vec::new(), unknown: Some(beside) });
    }

    #[test]
    fn a_link_into_nothing_is_no_place() {
        let (_dir, base) = base();
        let link = base.join("link");
        symlink(base.join("away"), &link).unwrap();
        assert!(
            find(&link.join("a"), |_| false).unwrap_err().reason.contains("is a link to what is not there")
        );
        let place = find(&link.join("a"), |one| one == link).unwrap();
        assert_eq!(place, Place { roots: vec![link], unknown: None });
    }

    #[test]
    fn the_widest_allowed_directory_stands_for_a_volume() {
        let (_dir, base) = base();
        let unknown = base.join("media/tv/show");
        let found = candidates(&unknown, &unknown, &[base.join("media"), base.join("media/tv")]).unwrap();
        assert_eq!(found, [base.join("media"), base.join("media/tv"), unknown.clone()]);
        assert_eq!(candidates(&unknown, &unknown, &[]).unwrap(), [unknown]);
    }
}
