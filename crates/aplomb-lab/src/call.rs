use aplomb_retry::Progress;

use crate::units::index;

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The retry machine's own memory of it.
    pub(crate) progress: Progress,
    pub(crate) began: u64,
    /// Counts attempts and endings, so that what belongs to an earlier one is known to be late.
    pub(crate) generation: u32,
    pub(crate) client: u32,
    /// The attempt that this call serves, one service up.
    pub(crate) parent: Option<Ticket>,
    /// The row's version that the attempt has read.
    pub(crate) version: u32,
    /// What the server knows of it.
    pub(crate) work: u32,
    /// The shard that it belongs to.
    pub(crate) shard: u16,
    /// How many services up the client is.
    pub(crate) layer: u8,
    /// What its last retry was paid with, in the quota of the AWS SDKs.
    pub(crate) paid: u8,
    /// Whether the attempt under way is a retry: not the first that was tried.
    pub(crate) is_retry: bool,
    /// Sends of the attempt under way that were not answered yet.
    pub(crate) open: u8,
}

/// Names one attempt of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) call: u32,
    pub(crate) generation: u32,
}

/// What the server knows of a call: it outlives the call while the server still works for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) call: u32,
    pub(crate) client: u32,
    pub(crate) shard: u16,
    /// Sends that the server has not done with. One that has too many to count is kept for ever.
    held: u16,
    pub(crate) layer: u8,
    /// How often it was done.
    pub(crate) effects: u8,
    has_ended: bool,
}

impl Call {
    pub(crate) const fn new(progress: Progress, began: u64, client: u32) -> Self {
        Self {
            progress,
            began,
            generation: 0,
            client,
            parent: None,
            version: 0,
            work: 0,
            shard: 0,
            layer: 1,
            paid: 0,
            is_retry: false,
            open: 0,
        }
    }
}

/// All calls under way, and the work for them. Places are used again; generations go on counting.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slab: Vec<Call>,
    free: Vec<u32>,
    works: Vec<Work>,
    free_works: Vec<u32>,
}

impl Calls {
    pub(crate) fn begin(&mut self, mut call: Call) -> u32 {
        let place = self.free.pop();
        let of = place.unwrap_or_else(|| place_of(self.slab.len()));
        call.work = self.begin_work(&call, of);
        match place {
            Some(place) => {
                let old = self.at(place);
                call.generation = old.generation;
                *old = call;
            }
            None => self.slab.push(call),
        }
        of
    }

    fn begin_work(&mut self, call: &Call, of: u32) -> u32 {
        let Call { client, shard, layer, .. } = *call;
        let work = Work { call: of, client, shard, layer, held: 0, effects: 0, has_ended: false };
        if let Some(place) = self.free_works.pop() {
            *self.work(place) = work;
            return place;
        }
        self.works.push(work);
        place_of(self.works.len() - 1)
    }

    pub(crate) fn end(&mut self, place: u32) -> Call {
        self.free.push(place);
        let call = self.at(place);
        call.generation = call.generation.wrapping_add(1);
        let call = *call;
        let work = self.work(call.work);
        work.has_ended = true;
        if work.held == 0 {
            self.free_works.push(call.work);
        }
        call
    }

    /// A send of this work is on its way to the server.
    #[inline]
    pub(crate) fn hold(&mut self, work: u32) {
        let work = self.work(work);
        work.held = work.held.saturating_add(1);
    }

    /// The server has done with one of its sends.
    #[inline]
    pub(crate) fn release(&mut self, place: u32) {
        let work = self.work(place);
        if work.held < u16::MAX {
            debug_assert!(work.held > 0, "a send is done with once");
            work.held -= 1;
        }
        if work.has_ended && work.held == 0 {
            self.free_works.push(place);
        }
    }

    #[inline]
    pub(crate) fn at(&mut self, place: u32) -> &mut Call {
        &mut self.slab[index(place.into())]
    }

    #[inline]
    pub(crate) fn work(&mut self, place: u32) -> &mut Work {
        &mut self.works[index(place.into())]
    }

    /// The call, if this attempt is the one it waits for.
    #[inline]
    pub(crate) fn awaiting(&mut self, place: u32, generation: u32) -> Option<&mut Call> {
        Some(self.at(place)).filter(|call| call.generation == generation)
    }
}

fn place_of(number: usize) -> u32 {
    u32::try_from(number).expect("the estimate bounds the calls under way")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_as_small_as_it_can_be() {
        assert_eq!(size_of::<Work>(), 16);
    }
}
