//! The store on Redis, beside bare commands on one connection that all callers share.

use std::sync::Arc;
use std::time::Duration;

use aplomb_bench::sheet::Limit;
use aplomb_idempotency::StoreError;
use aplomb_idempotency_redis::RedisStore;
use aplomb_testkit::servers;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, cmd};

use crate::rounds::{Item, Prepared};
use crate::work::{BODY, LEVELS, Result, Work, answered, begins, both, work};

pub(crate) async fn prepared() -> Result<Prepared> {
    let server = servers::Redis::start()?;
    let made = || Ok::<_, StoreError>(RedisStore::new(server.url())?.prefix(server.prefix()));
    let store = Arc::new(made()?.command_timeout(PATIENCE));
    let steps = Arc::new(made()?.command_timeout(PATIENCE).without_scripts());
    store.check().await?;
    answered(&*store).await?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let client = Client::open(server.url())?;
    let bare = client.get_multiplexed_async_connection_with_config(&config).await?;
    let known = format!("{}-known", server.prefix());
    cmd("SET").arg(&known).arg(BODY).exec_async(&mut bare.clone()).await?;
    let mut items = Vec::new();
    for in_flight in LEVELS {
        let prefix = server.prefix().to_owned();
        let (one, prefixed) = (bare.clone(), prefix.clone());
        items.push(Item::new(SET, in_flight, move || sets(&one, &prefixed)));
        // What is asked for is asked for where the callers are many and the server is not yet full.
        let must = (in_flight == 32).then(|| Limit::least(0.8).goal(1.0));
        let begun = Arc::clone(&store);
        items.push(Item::new("begin", in_flight, move || begins(&begun)).beside(SET, must));
        let begun = Arc::clone(&steps);
        let name = "begin without scripts";
        items.push(Item::new(name, in_flight, move || begins(&begun)).beside(SET, None));
        let one = bare.clone();
        items.push(Item::new(PAIR, in_flight, move || pairs(&one, &prefix)));
        let (one, key) = (bare.clone(), known.clone());
        items.push(Item::new(GET, in_flight, move || gets(&one, &key)));
        items.extend(both(&store, in_flight, (PAIR, None), GET));
    }
    Ok(Prepared::new("Redis", items, server))
}

fn sets(bare: &MultiplexedConnection, prefix: &str) -> Work {
    let (bare, prefix) = (bare.clone(), prefix.to_owned());
    work(move |call| {
        let (mut bare, key) = (bare.clone(), call.key(&format!("{prefix}-set")));
        async move {
            set_new(&key).exec_async(&mut bare).await?;
            Ok(1)
        }
    })
}

fn pairs(bare: &MultiplexedConnection, prefix: &str) -> Work {
    let (bare, prefix) = (bare.clone(), prefix.to_owned());
    work(move |call| {
        let (mut bare, key) = (bare.clone(), call.key(&format!("{prefix}-pair")));
        async move {
            set_new(&key).exec_async(&mut bare).await?;
            let mut set = cmd("SET");
            set.arg(&key).arg(BODY).arg("XX").arg("PX").arg(DAY);
            set.exec_async(&mut bare).await?;
            Ok(1)
        }
    })
}

fn gets(bare: &MultiplexedConnection, key: &str) -> Work {
    let (bare, key) = (bare.clone(), key.to_owned());
    work(move |_| {
        let (mut bare, key) = (bare.clone(), key.clone());
        async move {
            let value: Vec<u8> = cmd("GET").arg(&key).query_async(&mut bare).await?;
            if value.len() == BODY.len() { Ok(1) } else { Err("the key is gone".into()) }
        }
    })
}

/// Takes a key, with about as many bytes as a claim has.
fn set_new(key: &str) -> redis::Cmd {
    let mut set = cmd("SET");
    set.arg(key).arg(&BODY[..CLAIM]).arg("NX").arg("PX").arg(DAY);
    set
}

const SET: &str = "`SET NX PX`";
const PAIR: &str = "`SET NX PX`, `SET XX PX`";
const GET: &str = "`GET`";
const CLAIM: usize = 150;
/// A machine that is busy with something else may leave a server waiting.
const PATIENCE: Duration = Duration::from_secs(30);
const DAY: u32 = 86_400_000;
