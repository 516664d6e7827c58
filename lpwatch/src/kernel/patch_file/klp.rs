//! Patches written by hand: `klp_patch`, `klp_object` and `klp_func` structures
//! in the module's data.
//!
//! Source: include/linux/livepatch.h of 5.10, 6.1, 6.12 and 7.2, where the parts
//! that a patch writes are the same: `klp_patch {mod, objs, states, replace}`,
//! `klp_object {name, funcs, callbacks}`, `klp_func {old_name, new_func,
//! old_sympos}`, `klp_state {id, version, data}`.

use super::PatchState;
use super::image::{DataPlace, Image, Target};
use super::klp_lists::is_object;
use super::modinfo::Release;
use super::reader::{PatchReader, RawPatch};
use super::unread::Unread;

/// Of `klp_patch`, from its beginning, which is `mod`.
const OBJECTS: u64 = 8;
const STATES: u64 = 16;
const REPLACE: u64 = 24;
/// From here on `klp_patch` has `states` and `replace` at these places: 5.1 had
/// only `replace`, earlier kernels none.
const HAS_STATES: Release = Release { major: 5, minor: 5 };

const STATE_SIZE: u64 = 24;
const STATE_VERSION: u64 = 8;
const STATES_MAX: u64 = 1024;

/// The most patches of one module that are read; there should be one.
const PATCHES_MAX: usize = 16;

/// Reads the module's patch; `None` if its data contains none.
pub(super) fn read(
    image: &Image<'_, '_>,
    release: Option<Release>,
    unread: &mut Unread,
) -> Option<RawPatch> {
    let mut reader = PatchReader::new(image, unread);
    let mut places = reader.patches();
    if places.len() > 1 {
        let most = if places.len() > PATCHES_MAX {
            "more than "
        } else {
            ""
        };
        places.truncate(PATCHES_MAX);
        reader.unread.add(format!(
            "the module contains {most}{} patches; it is unknown which of them it enables, so all are shown",
            places.len()
        ));
    }
    let mut all: Option<RawPatch> = None;
    for place in places {
        let patch = reader.patch(place, release);
        all = Some(match all {
            None => patch,
            Some(first) => merge(first, patch),
        });
    }
    if reader.steps.exhausted() {
        reader
            .unread
            .add("the module's structures are too many to be read, or lead to each other");
    }
    all
}

fn merge(mut first: RawPatch, second: RawPatch) -> RawPatch {
    first.objects.extend(second.objects);
    first.states.extend(second.states);
    first.replace = first.replace.filter(|_| first.replace == second.replace);
    first
}

impl PatchReader<'_, '_, '_> {
    /// Where a `klp_patch` lies: a pointer to the module itself, then one to
    /// what looks like its objects.
    fn patches(&mut self) -> Vec<DataPlace> {
        let mut places = Vec::new();
        for section in self.image.sections_with_pointers() {
            for offset in self.image.pointers_in(section, 0..u64::MAX) {
                let place = DataPlace { section, offset };
                if !self.image.leads_to_this_module(place) {
                    continue;
                }
                if !self.steps.take() || places.len() > PATCHES_MAX {
                    return places;
                }
                let objects = self.image.data_at(place.plus(OBJECTS));
                if objects.is_some_and(|objects| is_object(self.image, objects)) {
                    places.push(place);
                }
            }
        }
        places
    }

    fn patch(&mut self, place: DataPlace, release: Option<Release>) -> RawPatch {
        let mut patch = RawPatch::default();
        if let Some(objects) = self.image.data_at(place.plus(OBJECTS)) {
            patch.objects = self.objects(objects);
        }
        if release.is_some_and(|release| release >= HAS_STATES) {
            patch.states = self.states(place.plus(STATES));
            patch.replace = match self.image.u8(place.plus(REPLACE)) {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            };
            if patch.replace.is_none() {
                self.unread.add(
                    "whether the patch replaces others: the stored value is neither yes nor no",
                );
            }
        } else {
            self.unread.add(format!(
                "whether the patch replaces others, and its states: it is built for {}, and lpwatch knows where they are stored from {HAS_STATES} on",
                release.map_or("a kernel it does not name".to_owned(), |release| release.to_string())
            ));
        }
        patch
    }

    fn states(&mut self, pointer: DataPlace) -> Vec<PatchState> {
        let mut states = Vec::new();
        let start = match self.image.pointer(pointer) {
            None => return states,
            Some(Target::Inside(start)) => start,
            Some(Target::External(_) | Target::Nowhere) => {
                self.unread
                    .add("the patch's states: they are not in the module's data");
                return states;
            }
        };
        let limit = match self.image.object_size(start) {
            Some(size) => start.offset.saturating_add(size),
            None => self.image.next_start(start),
        };
        for index in 0..STATES_MAX {
            let place = start.plus(index * STATE_SIZE);
            if place.plus(STATE_SIZE).offset > limit {
                break;
            }
            let (Some(id), Some(version)) = (
                self.image.u64(place),
                self.image.u32(place.plus(STATE_VERSION)),
            ) else {
                break;
            };
            if id == 0 {
                return states;
            }
            states.push(PatchState { id, version });
        }
        self.unread
            .add("the patch's states: their list has no end mark");
        states
    }
}
