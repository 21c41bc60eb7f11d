//! Files written, put in place, copied and removed.

use std::os::unix::fs::symlink;

use vicar_os::fs::{BeneathPath, Errno, FsError, Limits, Links, Reach, Replace, Verdict, copy_tree, remove_tree};

use crate::Test;
use crate::stage::{ALICE, Acting, BOB, Stage, TEAM, name, path};

pub(crate) const TESTS: &[Test] = &[
    ("a_temp_takes_its_name_in_one_step", plain, act_temp),
    ("a_temp_with_a_name_leaves_none_behind", plain, act_named_temp),
    ("a_temp_takes_the_looks_of_another_file", looks, act_looks),
    ("set_group_id_and_capabilities_are_not_to_be_had", foreign, act_privileges),
    ("content_is_replaced_in_place", plain, act_in_place),
    ("a_tree_is_copied_whole_or_not_at_all", tree, act_copy),
    ("a_tree_is_removed_and_links_are_not_followed", tree, act_remove),
    ("renames_do_what_they_say", plain, act_rename),
];

const LIMITS: Limits = Limits { entries: 100, depth: 10 };

fn plain(stage: &Stage) {
    stage.file("root/f", "a longer old content", ALICE, ALICE, 0o640);
    stage.directory("root/d", ALICE, ALICE, 0o755);
}

fn act_temp(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let temp = directory.create_temp(as_client, 0o666).unwrap();
        temp.write_at(as_client, 0, b"new").unwrap();
        assert_eq!(directory.list(as_client, 10).unwrap().len(), 2, "it has no name yet");
        assert!(temp.link_new(as_client, &directory, &name("f")).unwrap_err().is(Errno::EXIST));
        temp.link_new(as_client, &directory, &name("g")).unwrap();
        let stat = directory.stat(as_client, &name("g")).unwrap();
        assert_eq!((stat.uid, stat.gid, stat.mode, stat.size, stat.links), (ALICE, ALICE, 0o644, 3, 1));
        let temp = directory.create_temp(as_client, 0o600).unwrap();
        temp.write_at(as_client, 0, b"newer").unwrap();
        temp.sync(as_client).unwrap();
        temp.replace(as_client, &directory, &name("g")).unwrap();
        assert_eq!(directory.stat(as_client, &name("g")).unwrap().size, 5);
        let unwanted = directory.create_temp(as_client, 0o600).unwrap();
        assert!(unwanted.replace(as_client, &directory, &name("d")).is_err(), "not over a directory");
        unwanted.discard(as_client, &directory);
        assert_eq!(directory.list(as_client, 10).unwrap().len(), 3);
    });
}

fn act_named_temp(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let create = || directory.create_named_temp(as_client, 0o600).unwrap();
        let count = || directory.list(as_client, 10).unwrap().len();
        let temp = create();
        temp.write_at(as_client, 0, b"new").unwrap();
        assert_eq!(count(), 3);
        assert!(temp.link_new(as_client, &directory, &name("f")).unwrap_err().is(Errno::EXIST));
        temp.link_new(as_client, &directory, &name("g")).unwrap();
        temp.discard(as_client, &directory);
        assert_eq!((count(), directory.stat(as_client, &name("g")).unwrap().size), (3, 3));
        let temp = create();
        temp.replace(as_client, &directory, &name("g")).unwrap();
        temp.discard(as_client, &directory);
        assert_eq!((count(), directory.stat(as_client, &name("g")).unwrap().size), (3, 0));
        create().discard(as_client, &directory);
        assert_eq!(count(), 3);
    });
}

fn looks(stage: &Stage) {
    stage.file("root/model", "x", ALICE, TEAM, 0o4750);
    let model = stage.root().join("model");
    rustix::fs::setxattr(&model, "user.a", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(&model, "user.b", &[7; 2000], rustix::fs::XattrFlags::empty()).unwrap();
    stage.file("root/other-group", "x", ALICE, BOB, 0o640);
}

fn act_looks(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let temp = directory.create_temp(as_client, 0o600).unwrap();
        temp.take_looks(as_client, &root.look(as_client, &path("model"), Links::Follow).unwrap()).unwrap();
        let stat = temp.stat(as_client).unwrap();
        assert_eq!((stat.gid, stat.mode), (TEAM, 0o750), "the set-id bit goes as it does when one writes");
        temp.link_new(as_client, &directory, &name("copy")).unwrap();
        let copy = root.look(as_client, &path("copy"), Links::Follow).unwrap();
        assert_eq!(copy.xattr(as_client, "user.a").unwrap().unwrap(), b"1");
        assert_eq!(copy.xattr(as_client, "user.b").unwrap().unwrap(), [7; 2000]);
        assert_eq!(copy.xattr(as_client, "user.c").unwrap(), None);
        assert_eq!(copy.xattr_names(as_client).unwrap().len(), 2);
        copy.remove_xattr(as_client, "user.a").unwrap();
        copy.remove_xattr(as_client, "user.a").unwrap();
        copy.set_xattr(as_client, "user.b", b"2").unwrap();
        assert_eq!(copy.xattr(as_client, "user.b").unwrap().unwrap(), b"2");
        // A group one is not in cannot be kept: the content belongs into the old inode then.
        let temp = directory.create_temp(as_client, 0o600).unwrap();
        let foreign = root.look(as_client, &path("other-group"), Links::Follow).unwrap();
        assert!(temp.take_looks(as_client, &foreign).unwrap_err().is(Errno::PERM));
    });
    acting.run(&acting.bob, |as_client, root| {
        let model = root.look(as_client, &path("model"), Links::Follow).unwrap();
        assert!(model.xattr(as_client, "user.a").unwrap_err().is(Errno::ACCESS));
        assert!(model.set_xattr(as_client, "user.a", b"x").is_err());
        assert!(model.set_mode(as_client, 0o777).unwrap_err().is(Errno::PERM));
    });
}

fn foreign(stage: &Stage) {
    stage.directory("root/setgid", 0, BOB, 0o2777);
}

fn act_privileges(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &path("setgid")).unwrap();
        let temp = directory.create_temp(as_client, 0o777).unwrap();
        temp.set_mode(as_client, 0o2755).unwrap();
        temp.link_new(as_client, &directory, &name("f")).unwrap();
        let stat = directory.stat(as_client, &name("f")).unwrap();
        assert_eq!((stat.uid, stat.gid, stat.mode & 0o6000), (ALICE, BOB, 0));
        let node = directory.look(as_client, &name("f")).unwrap();
        let capability = [1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(node.set_xattr(as_client, "security.capability", &capability).unwrap_err().is(Errno::PERM));
        assert!(node.set_xattr(as_client, "trusted.x", b"1").unwrap_err().is(Errno::PERM));
    });
}

fn act_in_place(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let temp = directory.create_temp(as_client, 0o600).unwrap();
        temp.write_at(as_client, 0, b"short").unwrap();
        let file = root.look(as_client, &path("f"), Links::Follow).unwrap().open_write(as_client).unwrap();
        file.replace_content(as_client, &temp, 5).unwrap();
        assert_eq!(file.stat_now(as_client).unwrap().size, 5);
        let read = root.look(as_client, &path("f"), Links::Follow).unwrap().open_read(as_client).unwrap();
        assert_eq!(read.read_at(as_client, 0, 100).unwrap(), b"short");
        assert_eq!(read.read_at(as_client, 3, 1).unwrap(), b"r");
        assert_eq!(read.read_at(as_client, 9, 1).unwrap(), b"");
        assert_eq!(file.replace_content(as_client, &temp, 6).unwrap_err(), FsError::Changed);
        file.replace_content(as_client, &temp, 0).unwrap();
        assert_eq!(file.stat_now(as_client).unwrap().size, 0);
    });
}

fn tree(stage: &Stage) {
    stage.directory("outside", ALICE, ALICE, 0o777);
    stage.file("outside/kept", "kept", ALICE, ALICE, 0o666);
    stage.directory("root/t", ALICE, ALICE, 0o755);
    stage.directory("root/t/d", ALICE, ALICE, 0o555);
    stage.file("root/t/d/f", "content", ALICE, ALICE, 0o400);
    symlink("../../../outside", stage.root().join("t/d/link")).unwrap();
    stage.directory("root/u", ALICE, ALICE, 0o755);
    stage.file("root/u/mine", "x", ALICE, ALICE, 0o600);
    stage.file("root/u/secret", "x", BOB, BOB, 0o600);
}

fn act_copy(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let look = |text| root.look(as_client, &path(text), Links::Follow).unwrap();
        let copy = |from, to, limits| copy_tree(as_client, look(from), (&directory, &name(to)), Reach::Whole, limits);
        copy("t", "copy", LIMITS).unwrap();
        assert_eq!(look("copy/d/f").open_read(as_client).unwrap().read_at(as_client, 0, 9).unwrap(), b"content");
        assert_eq!(look("copy/d").stat().mode, 0o555);
        let link = root.look(as_client, &path("copy/d/link"), Links::Stay).unwrap();
        assert_eq!(link.read_link(as_client).unwrap().to_bytes(), b"../../../outside");
        let failed = copy("u", "partly", LIMITS).unwrap_err();
        assert_eq!(failed.path, b"secret");
        assert!(failed.error.is(Errno::ACCESS));
        let few = Limits { entries: 3, depth: 10 };
        assert!(matches!(copy("t", "partly", few).unwrap_err().error, FsError::TooMany { .. }));
        let flat = Limits { entries: 10, depth: 1 };
        assert!(matches!(copy("t", "partly", flat).unwrap_err().error, FsError::TooDeep { .. }));
        assert!(directory.stat(as_client, &name("partly")).unwrap_err().is(Errno::NOENT));
        // What is there already is not taken for what a failed copy has made.
        assert!(copy("t", "u", LIMITS).unwrap_err().error.is(Errno::EXIST));
        assert!(copy("u/secret", "u", LIMITS).unwrap_err().error.is(Errno::ACCESS));
        assert!(look("u/mine").stat().size == 1);
    });
}

fn act_remove(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let mut go = |_| Verdict::Go;
        // The directory d may not be written: what is in it stays, and is told.
        let left = remove_tree(as_client, &directory, &name("t"), LIMITS, &mut go).unwrap();
        let mut paths: Vec<_> = left.iter().map(|failed| failed.path.as_slice()).collect();
        paths.sort_unstable();
        assert_eq!(paths, [&b"d/f"[..], b"d/link"]);
        root.look(as_client, &path("t/d"), Links::Follow).unwrap().set_mode(as_client, 0o755).unwrap();
        let protected = root.look(as_client, &path("t/d/f"), Links::Follow).unwrap().stat().id;
        let mut veto = |id| if id == protected { Verdict::Veto } else { Verdict::Go };
        let left = remove_tree(as_client, &directory, &name("t"), LIMITS, &mut veto).unwrap();
        assert!(matches!(left.as_slice(), [failed] if failed.error == FsError::Vetoed && failed.path == b"d/f"));
        assert_eq!(remove_tree(as_client, &directory, &name("t"), LIMITS, &mut go).unwrap(), []);
        assert_eq!(remove_tree(as_client, &directory, &name("u"), LIMITS, &mut go).unwrap(), []);
        assert!(remove_tree(as_client, &directory, &name("u"), LIMITS, &mut go).unwrap_err().is(Errno::NOENT));
        assert_eq!(directory.list(as_client, 10).unwrap(), []);
    });
    assert_eq!(std::fs::read_to_string(acting.stage.0.join("outside/kept")).unwrap(), "kept");
}

fn act_rename(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let directory = root.directory(as_client, &BeneathPath::here()).unwrap();
        let rename = |from, to, replace| directory.rename(as_client, &name(from), &directory, &name(to), replace);
        assert!(rename("f", "d", Replace::Never).unwrap_err().is(Errno::EXIST));
        assert!(rename("f", "d", Replace::File).unwrap_err().is(Errno::ISDIR));
        rename("f", "d", Replace::Exchange).unwrap();
        assert!(directory.stat(as_client, &name("f")).unwrap().is_directory());
        rename("d", "e", Replace::Never).unwrap();
        assert!(rename("d", "e", Replace::Exchange).unwrap_err().is(Errno::NOENT));
        directory.make_directory(as_client, &name("n"), 0o777).unwrap();
        assert_eq!(directory.stat(as_client, &name("n")).unwrap().mode, 0o755);
        assert!(directory.unlink(as_client, &name("n")).unwrap_err().is(Errno::ISDIR));
        directory.remove_directory(as_client, &name("n")).unwrap();
    });
}
