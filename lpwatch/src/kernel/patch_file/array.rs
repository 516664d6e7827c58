//! Arrays that end with a blank element, of structures whose size is uncertain:
//! it depends on the kernel's version and configuration.
//!
//! The size is taken from the module itself: from the size of the array's
//! symbol and from the distance of its pointers. A size is accepted only if the
//! whole array can be walked with it, element by element, to a blank one.

use super::image::{DataPlace, Image};

/// The known properties of a structure.
pub(super) struct Shape {
    /// The offsets that may contain pointers before the kernel has seen it.
    pub pointers: &'static [u64],
    /// How many bytes at its beginning a patch writes; the rest is blank.
    pub written: u64,
    /// Its size in the kernels that were inspected.
    pub usual: u64,
}

/// An array whose length and size of elements is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Array {
    start: DataPlace,
    stride: u64,
    pub count: u64,
    /// A blank element follows, as the kernel requires.
    pub terminated: bool,
}

/// The largest size of a structure that is accepted.
const STRIDE_MAX: u64 = 4096;

/// The most elements that are visited in all arrays of a module: overlapping
/// arrays could have any number.
pub(super) struct Steps(u32);

impl Steps {
    pub fn new() -> Self {
        Self(1 << 18)
    }

    pub fn take(&mut self) -> bool {
        let Self(left) = self;
        match left.checked_sub(1) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }

    pub fn exhausted(&self) -> bool {
        self.0 == 0
    }
}

impl Array {
    /// The array that begins at `start`; `None` if no size of its elements
    /// fits.
    pub fn find(
        image: &Image<'_, '_>,
        steps: &mut Steps,
        start: DataPlace,
        shape: &Shape,
        is_element: impl Fn(DataPlace) -> bool,
    ) -> Option<Self> {
        let size = image.object_size(start);
        let limit = match size {
            Some(size) => start.offset.saturating_add(size),
            None => image.next_start(start),
        };
        let mut walk = ArrayWalk {
            image,
            steps,
            shape,
            limit,
            is_element: &is_element,
        };
        let mut open = None;
        for stride in candidates(image, start, shape, size, limit) {
            match walk.with(start, stride) {
                Some(array) if array.terminated => return Some(array),
                // Only the size of a symbol proves that nothing follows.
                Some(array) if size == Some(array.count * stride) => {
                    open = open.or(Some(array));
                }
                _ => {}
            }
        }
        open
    }

    /// Where each element begins.
    pub fn elements(&self) -> impl Iterator<Item = DataPlace> + use<> {
        let Self {
            start,
            stride,
            count,
            terminated: _,
        } = *self;
        (0..count).map(move |index| start.plus(index.saturating_mul(stride)))
    }
}

/// The sizes worth trying, the likeliest first.
fn candidates(
    image: &Image<'_, '_>,
    start: DataPlace,
    shape: &Shape,
    size: Option<u64>,
    limit: u64,
) -> Vec<u64> {
    let from = start.offset.saturating_add(shape.written);
    let next = image
        .pointers_in(start.section, from..limit)
        .next()
        .map(|offset| offset - start.offset);
    // The first pointer past the first element may be any of the second's.
    let mut derived: Vec<u64> = next
        .into_iter()
        .flat_map(|next| shape.pointers.iter().map(move |at| next.checked_sub(*at)))
        .flatten()
        .collect();
    match size {
        // The symbol bounds the array, so its own pointers are the best word;
        // with one element they say nothing, and half the symbol is blank.
        Some(size) => {
            if next.is_none() {
                derived.extend([size / 2, size]);
            }
            derived.push(shape.usual);
            derived.retain(|stride| size.is_multiple_of(*stride.max(&1)));
        }
        // What follows may be another array of the same kind.
        None => derived.insert(0, shape.usual),
    }
    derived
        .retain(|stride| (shape.written..=STRIDE_MAX).contains(stride) && stride.is_multiple_of(8));
    derived
}

struct ArrayWalk<'walk, 'elf, 'data> {
    image: &'walk Image<'elf, 'data>,
    steps: &'walk mut Steps,
    shape: &'walk Shape,
    limit: u64,
    is_element: &'walk dyn Fn(DataPlace) -> bool,
}

impl ArrayWalk<'_, '_, '_> {
    /// Walks to the blank element or the array's bound; `None` where something
    /// on the way is neither blank nor an element.
    fn with(&mut self, start: DataPlace, stride: u64) -> Option<Array> {
        let mut count = 0;
        let mut at = start;
        let mut terminated = false;
        while at.offset.checked_add(stride)? <= self.limit {
            if self.image.is_blank(at, stride) {
                terminated = true;
                break;
            }
            if !self.steps.take() || !(self.is_element)(at) || !self.fits(at, stride) {
                return None;
            }
            count += 1;
            at = at.plus(stride);
        }
        Some(Array {
            start,
            stride,
            count,
            terminated,
        })
    }

    /// Whether nothing is where the structure has nothing.
    fn fits(&self, at: DataPlace, stride: u64) -> bool {
        let end = at.offset.saturating_add(stride);
        let Shape {
            pointers,
            written,
            usual: _,
        } = self.shape;
        self.image
            .pointers_in(at.section, at.offset..end)
            .all(|offset| pointers.contains(&(offset - at.offset)))
            && self.image.is_blank(at.plus(*written), stride - written)
    }
}
