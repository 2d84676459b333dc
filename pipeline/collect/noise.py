"""What systems, shared disks and programs leave among one's pictures, by its name; nobody means to import it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath

WINDOWS, MACOS, LINUX, ANDROID = "files of Windows", "files of macOS", "files of Linux", "files of Android"
DELETED, SNAPSHOTS, NAS = "deleted files", "snapshots of a NAS", "previews and notes of a NAS"
PREVIEWS, CACHES = "previews of other programs", "caches and version control"
JUPYTER, LOCKS, HIDDEN = "copies that Jupyter keeps", "lock files", "hidden files"

# Folders and files by their whole name, in any case. What could be a class ("recycled") is none of them.
NAMES = {
    name: kind
    for kind, names in {
        WINDOWS: "system volume information/thumbs.db/ehthumbs.db/ehthumbs_vista.db/thumbs.db:encryptable/desktop.ini/"
        "folder.htt/config.msi/_vti_cnf/pagefile.sys/hiberfil.sys/swapfile.sys/msocache/$winreagent/$windows.~bt/"
        "$windows.~ws/wpsettings.dat/indexervolumeguid/albumartsmall.jpg",
        MACOS: "__macosx/.ds_store/.spotlight-v100/.fseventsd/.temporaryitems/temporary items/.appledouble/.appledb/"
        ".appledesktop/.documentrevisions-v100/.pkinstallsandboxmanager/.apdisk/.volumeicon.icns/.localized/icon\r/"
        "thevolumesettingsfolder/thefindbycontentfolder/desktop db/desktop df/.com.apple.timemachine.donotpresent/"
        ".lsoverride/.metadata_never_index",
        LINUX: "lost+found/.directory",
        ANDROID: "lost.dir/.nomedia/.android_secure",
        DELETED: "$recycle.bin/recycler/#recycle/@recycle/.recycle/.trash/.trashes/.trashbox/network trash folder/"
        "network recycle bin/network recycle bin 1/.wastebasket",
        SNAPSHOTS: "#snapshot/@snapshot/@recently-snapshot/.snapshot/.snapshots/~snapshot/.zfs/.ckpt",
        NAS: "@eadir/@tmp/@sharebin/@sharesnap/@synologydrive/@synologycloudsync/@s2s/@database/@img_bkp_cache/"
        "@quarantine/@cloudsync/@activebackup/@appstore/@download/@docker/@autoupdate/@clamav/"
        ".synologyworkingdirectory/#synobak/@__thumb/.@__thumb/.@__qini/.@__comments/.@__desc/.@upload_cache/"
        ".@upload_temp/.@qsync/.@qthumb/.@backup_config/.@backup_qbox/@transcode/.@transcode/.qsync/.syncing_db/"
        ".qdownload/.wdmc/.wdcache/.@plugins/.@metadata/.twonkymedia",
        PREVIEWS: ".thumbnails/.thumbs/.thumb/.xvpics/.picasa.ini/picasa.ini/.picasaoriginals/.pics/.comments/"
        "zbthumbnail.info/pspbrwse.jbf/.bridgesort/.bridgecache/.bridgecachet/.bridgelabelsandratings/.sketches/"
        "thumbnails-digikam.db/digikam4.db/.dtrash",
        CACHES: ".git/.svn/.hg/.bzr/.dvc/.cache/.datalad/.gitignore/.gitattributes/.gitmodules/.gitkeep/.keep/"
        ".dvcignore/.huggingface/__pycache__/.locks/.no_exist/.venv/.tox/.idea/.vscode/.vs/.mypy_cache/.ruff_cache/"
        ".pytest_cache/.dropbox/.dropbox.cache/.dropbox.attr/.sync/.stfolder/.stversions/.stignore/.owncloudsync.log",
        JUPYTER: ".ipynb_checkpoints/.virtual_documents",
    }.items()
    for name in names.split("/")
}
LIKE = (
    (re.compile(r"\._"), MACOS),
    (re.compile(r"\.trash(-|ed-)"), DELETED),
    (re.compile(r"s-1-5-[\d-]+$"), DELETED),  # somebody's part of a recycle bin
    (re.compile(r"found\.\d{3}$"), WINDOWS),
    (re.compile(r"albumart_\{"), WINDOWS),
    (re.compile(r".*[:\uf03a]zone\.identifier$"), WINDOWS),
    (re.compile(r"syno(file|photo)_thumb_|synoindex_media_info$|.*@syno(eastream|resource)$"), NAS),
    (re.compile(r"\.(fuse_hidden|nfs)[0-9a-f]+"), LINUX),
    (re.compile(r"~\$|\.~lock\."), LOCKS),
)

# The folder of Windows on a FAT stick could be a class, but for what is in it.
IN_RECYCLED = re.compile(r"dc\d+(\.\w+)?|info2?")


@lru_cache(maxsize=4096)
def noise_of(name: str, above: str = "") -> str | None:
    """What a file or folder of this name in the folder ``above`` is, in words, where nobody means to import it; else
    None.
    """
    lower = name.lower()
    if kind := NAMES.get(lower):
        return kind
    if above.lower() == "recycled" and IN_RECYCLED.fullmatch(lower):
        return DELETED
    return next((kind for like, kind in LIKE if like.match(lower)), HIDDEN if lower.startswith(".") else None)


def noise(path: PurePosixPath) -> str | None:
    """What a file is, in words, where its name or a folder above it is a system's, hidden or a cache; else None."""
    return next(filter(None, map(noise_of, path.parts, ("", *path.parts))), None)


def empty_folders(folders: Iterable[PurePosixPath], files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Those of ``folders`` in which there is no folder and no file but noise, in order; none that is noise itself."""
    wanted = {folder for folder in folders if not noise(folder)}
    full = {parent for file in (*files, *wanted) for parent in file.parents}
    return sorted(wanted - full - {PurePosixPath()})
