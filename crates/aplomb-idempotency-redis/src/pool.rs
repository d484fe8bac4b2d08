//! Connections: how many, how long they are waited for, and that none is used again unless it is
//! known to be clean.
//!
//! `WATCH` belongs to a connection, so a step has one to itself. A step that ends half-way, with an
//! error or because its future was dropped, takes its connection with it: only
//! [`Link::give_back`] puts one back.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aplomb_idempotency::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Busy, refused};

pub(crate) struct Pool {
    client: Client,
    permits: Semaphore,
    idle: Mutex<Vec<MultiplexedConnection>>,
    pub(crate) limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    pub(crate) command: Duration,
    pub(crate) wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, command: COMMAND_TIMEOUT, wait: WAIT_TIMEOUT }
    }
}

/// What the server answers to one command.
pub(crate) type Reply = RedisResult<Value>;

impl Pool {
    pub(crate) fn new(client: Client, connections: NonZeroUsize) -> Self {
        let permits = Semaphore::new(connections.get().min(Semaphore::MAX_PERMITS));
        Self { client, permits, idle: Mutex::default(), limits: Limits::default() }
    }

    /// Allows so many connections from now on. For a pool that nobody uses yet.
    pub(crate) fn resize(&mut self, connections: NonZeroUsize) {
        self.permits = Semaphore::new(connections.get().min(Semaphore::MAX_PERMITS));
    }

    /// A connection, and the answers to the commands that begin a step on it.
    ///
    /// They must be such that nothing is changed when they are sent twice: a connection that was
    /// lost while it was idle, as by a restart of the server, shows only when it is used.
    pub(crate) async fn begin(
        &self,
        commands: &Pipeline,
    ) -> Result<(Link<'_>, Vec<Reply>), StoreError> {
        let permit = self.permit().await?;
        let idle = self.lock().pop();
        let was_idle = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut link = Link { connection, pool: self, _permit: permit };
        match link.ask(commands).await {
            Ok(replies) => return Ok((link, replies)),
            // A server that answers nobody would not answer a new connection either.
            Err(error) if !was_idle || error.is_timeout() => {
                return Err(StoreError::unavailable(error));
            }
            // The others were lost with it.
            Err(_) => self.lock().clear(),
        }
        link.connection = self.connect().await?;
        let replies = link.ask(commands).await.map_err(StoreError::unavailable)?;
        Ok((link, replies))
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let waited = self.limits.wait;
        match tokio::time::timeout(waited, self.permits.acquire()).await {
            Ok(permit) => permit.map_err(StoreError::unavailable),
            Err(_) => Err(StoreError::unavailable(Busy { waited })),
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        connect(&self.client, &self.limits).await
    }

    fn lock(&self) -> MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn connect(
    client: &Client,
    limits: &Limits,
) -> Result<MultiplexedConnection, StoreError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limits.connect))
        .set_response_timeout(Some(limits.command));
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.map_err(StoreError::unavailable)
}

/// A connection that a step has to itself. It is closed when this is dropped.
pub(crate) struct Link<'a> {
    connection: MultiplexedConnection,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Link<'_> {
    /// Sends commands in one go and reads the answer to each.
    pub(crate) async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Reply>, RedisError> {
        commands.query_async(&mut self.connection).await
    }

    /// Puts the connection back, by whoever knows that nothing is watched or begun on it.
    pub(crate) fn give_back(self) {
        self.pool.lock().push(self.connection);
    }
}

/// Commands whose answers are read one by one, errors too.
pub(crate) fn commands() -> Pipeline {
    let mut commands = Pipeline::new();
    commands.ignore_errors();
    commands
}

/// The next answer as a `T`, of a step that has changed nothing yet.
pub(crate) fn next<T: redis::FromRedisValue>(
    replies: &mut impl Iterator<Item = Reply>,
) -> Result<T, StoreError> {
    let value = replies.next().unwrap_or(Ok(Value::Nil)).map_err(refused)?;
    redis::from_redis_value(value).map_err(StoreError::corrupt)
}

/// How many connections a store has for its steps unless told otherwise.
pub const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(16).expect("it is not zero");
/// How many it has beside those for renewals alone, so that no crowd of callers can make a
/// handler's lease wait.
pub(crate) const RENEWAL_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(2).expect("it is not zero");
/// How long a connection may take to be made, the log-in included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the server may take over one round trip.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a step waits for a connection to come free.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(2);
