//! What requests hold before they are verified: bounded in all, and for each address, so that a few slow strangers cannot
//! shut everybody else out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hookward_core::{address::AddressGroup, config, limits};

/// The places for bodies that are being read.
#[derive(Debug)]
pub(crate) struct InFlight {
    max: Share,
    held: Mutex<Held>,
}

/// So many requests and bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    requests: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    all: Share,
    by_group: HashMap<AddressGroup, Share>,
}

/// There is no place for it. Whoever is not verified can wait outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl InFlight {
    pub(crate) fn new(limits: &config::Limits) -> Self {
        let max = Share { requests: limits.unverified_in_flight, bytes: limits.unverified_bytes };
        Self { max, held: Mutex::default() }
    }

    /// A request that holds nothing yet. One of its size may always be read when its address holds nothing else.
    pub(crate) fn request(&self, client: IpAddr, body_bytes_max: usize) -> Holding<'_> {
        let share = limits::IN_FLIGHT_SHARE_OF_ADDRESS;
        let of_address = Share {
            requests: (self.max.requests / share).max(1),
            bytes: (self.max.bytes / share).max(body_bytes_max),
        };
        Holding {
            in_flight: self,
            group: AddressGroup::of(client),
            of_address,
            held: Share::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic in another thread leaves the counts as they are: they are changed in single steps.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request holds, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Holding<'i> {
    in_flight: &'i InFlight,
    group: AddressGroup,
    of_address: Share,
    held: Share,
}

impl Holding<'_> {
    /// Takes a place, with what has come already.
    pub(crate) fn begin(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.take(Share { requests: 1, bytes })
    }

    /// Takes room for more bytes.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.take(Share { requests: 0, bytes })
    }

    fn take(&mut self, more: Share) -> Result<(), NoRoom> {
        let mut held = self.in_flight.held();
        let of_group = held.by_group.get(&self.group).copied().unwrap_or_default();
        let (all, of_group) = (held.all.plus(more), of_group.plus(more));
        if !all.fits(self.in_flight.max) || !of_group.fits(self.of_address) {
            return Err(NoRoom);
        }
        held.all = all;
        held.by_group.insert(self.group, of_group);
        self.held = self.held.plus(more);
        Ok(())
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        // Most bodies come with their heads and never take a place.
        if self.held == Share::default() {
            return;
        }
        let mut held = self.in_flight.held();
        held.all = held.all.minus(self.held);
        let of_group = held.by_group.get(&self.group).copied().unwrap_or_default();
        let left = of_group.minus(self.held);
        if left == Share::default() {
            held.by_group.remove(&self.group);
        } else {
            held.by_group.insert(self.group, left);
        }
    }
}

impl Share {
    const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    const fn fits(self, max: Self) -> bool {
        self.requests <= max.requests && self.bytes <= max.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_flight(requests: usize, bytes: usize) -> InFlight {
        InFlight::new(&config::Limits {
            unverified_in_flight: requests,
            unverified_bytes: bytes,
            ..config::Limits::default()
        })
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn one_address_fills_its_own_share_and_no_more() {
        let places = in_flight(80, 8_000);
        let mut greedy = Vec::new();
        for _ in 0..10 {
            let mut request = places.request(address(1), 100);
            request.begin(0).unwrap();
            greedy.push(request);
        }
        assert_eq!(places.request(address(1), 100).begin(0), Err(NoRoom));
        assert_eq!(places.request(address(2), 100).begin(50), Ok(()));
        greedy.pop();
        assert_eq!(places.request(address(1), 100).begin(0), Ok(()));
    }

    #[test]
    fn bytes_count_as_they_come_and_are_given_back() {
        let places = in_flight(80, 8_000);
        let mut request = places.request(address(1), 100);
        request.begin(600).unwrap();
        assert_eq!(request.grow(400), Ok(()));
        assert_eq!(request.grow(1), Err(NoRoom));
        assert_eq!(places.request(address(1), 100).begin(1), Err(NoRoom));
        drop(request);
        assert_eq!(places.request(address(1), 100).begin(1_000), Ok(()));
        assert_eq!(places.held().all, Share::default());
        assert!(places.held().by_group.is_empty());
    }

    #[test]
    fn a_source_with_large_bodies_can_take_one() {
        let places = in_flight(80, 8_000);
        assert_eq!(places.request(address(1), 5_000).begin(5_000), Ok(()));
        assert_eq!(places.request(address(1), 9_000).begin(9_000), Err(NoRoom), "the total holds");
    }

    #[test]
    fn many_addresses_share_the_total() {
        let places = in_flight(16, 8_000);
        let mut all = Vec::new();
        for last in 1..=8 {
            for _ in 0..2 {
                let mut request = places.request(address(last), 100);
                request.begin(0).unwrap();
                all.push(request);
            }
        }
        assert_eq!(places.request(address(9), 100).begin(0), Err(NoRoom));
    }
}
