use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use aplomb_idempotency::machine::{self, Step, Verdict};
use aplomb_idempotency::operator::{AuditEntry, Listing, Note, Purge, Resolution};
use aplomb_idempotency::{
    Begin, Begun, Held, Keep, Record, RecordId, Settled, State, Store, StoreError, StoredAnswer,
    Timestamp,
};
use redis::{Client, IntoConnectionInfo, ProtocolVersion, RedisError};

use crate::error::Contended;
use crate::first::Shared;
use crate::keys::Keys;
use crate::policy::Policy;
use crate::pool::{CONNECTIONS, Pool, RENEWAL_CONNECTIONS, commands, next};
use crate::step::{self, Seen, WhenFull, Written};

/// Records on a Redis server, which suppress duplicates for as long as the server remembers.
///
/// A future of its methods that is dropped leaves its step done or not done, never half done, and
/// takes the connection it had with it.
pub struct RedisStore {
    pub(crate) keys: Keys,
    pub(crate) pool: Pool,
    renewals: Pool,
    shared: Shared,
    policy: Policy,
}

impl RedisStore {
    /// A store on a server that is known to be there, and to evict nothing.
    ///
    /// The same as [`new`](Self::new) and [`check`](Self::check), for a store without options.
    ///
    /// # Errors
    ///
    /// Those of either.
    pub async fn connect(server: impl IntoConnectionInfo) -> Result<Self, StoreError> {
        let store = Self::new(server)?;
        store.check().await?;
        Ok(store)
    }

    /// A store on the server of this URL, `redis://user:password@host:port/database`, that
    /// connects when it is first used.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read.
    pub fn new(server: impl IntoConnectionInfo) -> Result<Self, StoreError> {
        let client = client(server).map_err(StoreError::unavailable)?;
        Ok(Self {
            keys: Keys::with_prefix(PREFIX),
            pool: Pool::new(client.clone(), CONNECTIONS),
            renewals: Pool::new(client.clone(), RENEWAL_CONNECTIONS),
            shared: Shared::new(client),
            policy: Policy::default(),
        })
    }

    /// Keeps its keys under this prefix instead of [`PREFIX`]: stores with different prefixes on
    /// one server know nothing of each other.
    ///
    /// On a cluster all keys of a store lie in one slot. What stands in braces says which; without
    /// braces, the whole prefix does.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.keys = Keys::with_prefix(prefix);
        self
    }

    /// Has so many connections for steps at most, instead of [`CONNECTIONS`]; two more are for
    /// renewals alone, one more is shared by all callers of `begin`.
    #[must_use]
    pub fn connections(mut self, connections: NonZeroUsize) -> Self {
        self.pool.resize(connections);
        self
    }

    /// Gives up connecting after this time instead of [`CONNECT_TIMEOUT`](crate::CONNECT_TIMEOUT).
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.limited(|limits| limits.connect = timeout)
    }

    /// Gives up on the answer to a round trip after this time instead of
    /// [`COMMAND_TIMEOUT`](crate::COMMAND_TIMEOUT). A step has three round trips at most.
    #[must_use]
    pub fn command_timeout(self, timeout: Duration) -> Self {
        self.limited(|limits| limits.command = timeout)
    }

    /// Waits for this time for a connection to come free instead of
    /// [`WAIT_TIMEOUT`](crate::WAIT_TIMEOUT).
    #[must_use]
    pub fn wait_timeout(self, timeout: Duration) -> Self {
        self.limited(|limits| limits.wait = timeout)
    }

    /// Looks this often whether the server has been set to evict keys, instead of every
    /// [`POLICY_CHECKED_EVERY`](crate::POLICY_CHECKED_EVERY); before the first claim in any case.
    #[must_use]
    pub fn check_policy_every(mut self, time: Duration) -> Self {
        self.policy.every = time;
        self
    }

    /// Takes your word that a server which does not tell its `maxmemory-policy` has `noeviction`.
    /// One that tells another is refused all the same.
    #[must_use]
    pub fn trust_policy(mut self) -> Self {
        self.policy.trusted = true;
        self
    }

    /// Runs no script as long as the server has memory left: a new key then takes three round trips
    /// instead of one, a replay two.
    ///
    /// A user who may not run any is noticed; this is for servers where scripts are not welcome.
    #[must_use]
    pub fn without_scripts(self) -> Self {
        self.shared.refuse();
        self
    }

    /// Whether the server can be reached and evicts nothing.
    ///
    /// # Errors
    ///
    /// Its cause is [`EvictingPolicy`](crate::EvictingPolicy) or
    /// [`PolicyUnreadable`](crate::PolicyUnreadable), unless the server cannot be reached.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.policy.check(&self.pool).await
    }

    fn limited(mut self, limit: impl Fn(&mut crate::pool::Limits)) -> Self {
        limit(&mut self.pool.limits);
        limit(&mut self.renewals.limits);
        self
    }

    async fn claim(&self, begin: &Begin) -> Result<Begun, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let mut seen = self.watch(begin.identity.id()).await?;
            let (record, answer) = match machine::judge(seen.record.as_ref(), begin, seen.now) {
                Verdict::Answer(answer) => {
                    seen.leave().await;
                    return Ok(answer);
                }
                Verdict::Doubt(state) => (seen.moved_to(state), Begun::Unknown),
                Verdict::Claim(turn) => {
                    let fence = seen.draw_fence().await?;
                    let started = machine::started(begin, fence, turn, seen.now);
                    let record = machine::record(seen.record.as_ref(), begin, started, seen.now);
                    (Some(record), Begun::Claimed(started))
                }
            };
            let Some(record) = record else {
                continue;
            };
            let when_full = match answer {
                Begun::Claimed(_) => WhenFull::Refuse,
                _ => WhenFull::Exceed,
            };
            if seen.write(record, None, when_full).await? == Written::Yes {
                return Ok(answer);
            }
        }
        Err(StoreError::unavailable(Contended))
    }

    /// A change of one record, and what is to be written of it into the audit.
    async fn change(
        &self,
        pool: &Pool,
        change: Change<'_>,
        step: impl Fn(Option<&State>, Timestamp) -> Step,
    ) -> Result<Settled, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let seen = Seen::watch(pool, &self.keys, change.held.id).await?;
            let record = match step(seen.state(), seen.now) {
                Step::To(state) => seen.moved_to(state),
                Step::Stay(settled) => {
                    seen.leave().await;
                    return Ok(settled);
                }
            };
            let Some(record) = record else {
                return Ok(Settled::Lost);
            };
            let note = change.note(seen.now);
            if seen.write(record, note.as_ref(), change.when_full).await? == Written::Yes {
                return Ok(Settled::Done);
            }
        }
        Err(StoreError::unavailable(Contended))
    }

    pub(crate) async fn watch(&self, id: RecordId) -> Result<Seen<'_>, StoreError> {
        Seen::watch(&self.pool, &self.keys, id).await
    }
}

impl Store for RedisStore {
    async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        self.policy.recheck(&self.pool).await?;
        match self.shared.begin(&self.keys, &self.pool.limits, begin).await? {
            Some(begun) => Ok(begun),
            None => self.claim(begin).await,
        }
    }

    async fn renew(&self, held: Held, lease: Duration) -> Result<Settled, StoreError> {
        let renew = |state: Option<&State>, now| machine::renew(state, held.fence, lease, now);
        self.change(&self.renewals, Change::by_holder(held), renew).await
    }

    async fn complete(
        &self,
        held: Held,
        answer: &StoredAnswer,
        keep: Keep,
    ) -> Result<Settled, StoreError> {
        let complete = |state: Option<&State>, now| {
            machine::complete(state, held.fence, answer.clone(), keep, now)
        };
        self.change(&self.pool, Change::by_holder(held), complete).await
    }

    async fn abandon(&self, held: Held, keep: Duration) -> Result<Settled, StoreError> {
        let abandon = |state: Option<&State>, now| machine::abandon(state, held.fence, keep, now);
        self.change(&self.pool, Change::by_holder(held), abandon).await
    }

    async fn mark_unknown(&self, held: Held) -> Result<Settled, StoreError> {
        let mark = |state: Option<&State>, now| machine::mark_unknown(state, held.fence, now);
        self.change(&self.pool, Change::by_holder(held), mark).await
    }

    async fn get(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let mut get = commands();
        get.cmd("GET").arg(self.keys.record(id));
        let (link, replies) = self.pool.begin(&get).await?;
        link.give_back();
        let raw: Option<Vec<u8>> = next(&mut replies.into_iter())?;
        raw.map(|raw| step::read(&self.keys, id, raw)).transpose()
    }

    async fn sweep(&self, most: usize) -> Result<usize, StoreError> {
        self.sweep_due(most).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>, StoreError> {
        self.list_pages(listing).await
    }

    async fn resolve(
        &self,
        held: Held,
        resolution: &Resolution,
        note: &Note,
    ) -> Result<Settled, StoreError> {
        let change = Change {
            held,
            audit: Some((note, resolution)),
            // An operator can make room first; the answer that was found out must not be cut.
            when_full: WhenFull::Refuse,
        };
        let resolve =
            |state: Option<&State>, now| machine::resolve(state, held.fence, resolution, now);
        self.change(&self.pool, change, resolve).await
    }

    async fn purge(&self, purge: &Purge, note: &Note, most: usize) -> Result<usize, StoreError> {
        match purge {
            Purge::Key(id) if most > 0 => Ok(self.purge_one(*id, note).await?.into()),
            Purge::Key(_) => Ok(0),
            Purge::Of(scope) => self.purge_scope(scope, note, most).await,
        }
    }

    async fn audit(
        &self,
        of: Option<RecordId>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_lines(of, most).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server's URL may hold a password.
        f.debug_struct("RedisStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}

struct Change<'a> {
    held: Held,
    audit: Option<(&'a Note, &'a Resolution)>,
    when_full: WhenFull,
}

impl Change<'_> {
    fn by_holder(held: Held) -> Self {
        Self { held, audit: None, when_full: WhenFull::Exceed }
    }

    fn note(&self, at: Timestamp) -> Option<AuditEntry> {
        let (note, resolution) = self.audit?;
        let (action, Held { id, fence }) = (resolution.action(), self.held);
        Some(AuditEntry { at, note: note.clone(), action, id, fence })
    }
}

fn client(server: impl IntoConnectionInfo) -> Result<Client, RedisError> {
    let info = server.into_connection_info()?;
    // The answers that are read here have one shape in this version of the protocol.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

/// What the names of a store's keys begin with unless told otherwise, in braces.
pub const PREFIX: &str = "aplomb:idempotency";
/// How often a step looks again because somebody else changed its record first. A record changes
/// a few times in its life, so this many changes during one call are a mistake.
pub(crate) const CONFLICTS_MAX: u32 = 100;
