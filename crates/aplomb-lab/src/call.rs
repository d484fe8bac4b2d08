use aplomb_retry::Progress;

use crate::units::index;

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The retry machine's own memory of it.
    pub(crate) progress: Progress,
    pub(crate) began: u64,
    /// Counts sends and endings, so that what belongs to an earlier one is known to be late.
    pub(crate) generation: u32,
    pub(crate) client: u32,
    /// The attempt that this call serves, one service up.
    pub(crate) parent: Option<Ticket>,
    /// How many services up the client is.
    pub(crate) layer: u8,
    /// The row's version that the attempt has read.
    pub(crate) version: u32,
}

/// Names one attempt of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) call: u32,
    pub(crate) generation: u32,
}

/// All calls under way. Places are used again; generations go on counting.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slab: Vec<Call>,
    free: Vec<u32>,
}

impl Calls {
    pub(crate) fn begin(&mut self, mut call: Call) -> u32 {
        if let Some(place) = self.free.pop() {
            let old = &mut self.slab[index(place.into())];
            call.generation = old.generation;
            *old = call;
            return place;
        }
        self.slab.push(call);
        u32::try_from(self.slab.len() - 1).expect("the estimate bounds the calls under way")
    }

    pub(crate) fn end(&mut self, place: u32) -> Call {
        self.free.push(place);
        let call = self.at(place);
        call.generation = call.generation.wrapping_add(1);
        *call
    }

    pub(crate) fn at(&mut self, place: u32) -> &mut Call {
        &mut self.slab[index(place.into())]
    }

    /// The call, if this attempt is the one it waits for.
    pub(crate) fn awaiting(&mut self, place: u32, generation: u32) -> Option<&mut Call> {
        Some(self.at(place)).filter(|call| call.generation == generation)
    }
}
