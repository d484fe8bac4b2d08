use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aplomb::ProblemLayer;
use aplomb_admission::AdmissionLayer;
use aplomb_core::{Principal, Problem};
use aplomb_idempotency::{Claim, IdempotencyLayer, Key, Recorded, Refusal, Sweep, Transactional};
use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{Response, StatusCode};

use crate::client::Client;
use crate::database::{Database, Records};
use crate::wire::serve;
use crate::world::{Order, Picks, Reservation, Status, Stock, World};

/// The Order API: writes the order down, asks Inventory, tells what became of it.
pub(crate) async fn orders(world: World) -> turmoil::Result {
    let app = OrderApi { inventory: Client::new(&world, "orders"), next: Arc::default(), world };
    let keys = keys(&app.world, app.world.orders()).keep(ANSWERS_KEPT).retire(KEYS_KEPT);
    tokio::spawn(app.clone().reconcile());
    serve(behind(
        &app.world,
        Router::new().route("/orders", keys.post(place)).with_state(app.clone()),
    ))
    .await
}

#[derive(Clone)]
struct OrderApi {
    inventory: Client,
    /// Which replica is asked next.
    next: Arc<AtomicUsize>,
    world: World,
}

async fn place(
    State(app): State<OrderApi>,
    claim: Claim,
    pieces: String,
) -> Result<Recorded, Refusal> {
    let key = claim.key().to_owned();
    let pieces = pieces.parse().unwrap_or(1);
    let order = app.world.orders().write(|rows| {
        *rows.0.entry(key.clone()).or_insert(Order { pieces, status: Status::Pending })
    });
    app.world.note(format_args!("order {key}: {:?} under {}", order.status, claim.fence().get()));
    let status = match order.status {
        Status::Pending => app.reserve(&key, order.pieces).await,
        known => known,
    };
    if status == Status::Pending {
        return Err(later("/problems/pending").into());
    }
    let settled = app.world.orders().transact(&app.world, &claim, |rows| {
        rows.0.insert(key.clone(), Order { status, ..order });
        told(status, &key)
    });
    Ok(settled.await?)
}

fn told(status: Status, key: &str) -> Response<Bytes> {
    let (status, word) = match status {
        Status::Reserved => (StatusCode::CREATED, "reserved"),
        _ => (StatusCode::CONFLICT, "sold out"),
    };
    answer(status, format!("{word} {key}"))
}

impl OrderApi {
    /// Asks one replica, the next time the other.
    async fn reserve(&self, key: &str, pieces: u64) -> Status {
        let replica = REPLICAS[self.next.fetch_add(1, Ordering::Relaxed) % REPLICAS.len()];
        let uri = format!("http://{replica}/reservations");
        let line = format!("{pieces} {key}");
        let key = Key::derived(("order", key, "reservation")).expect("a key makes a key");
        match self.inventory.post(&uri, &key, &line).await {
            Some(answer) if answer.status == StatusCode::CREATED => Status::Reserved,
            Some(answer) if answer.body.starts_with("sold out") => Status::SoldOut,
            _ => Status::Pending,
        }
    }

    /// Finds out what became of orders whose customers are gone.
    async fn reconcile(self) {
        loop {
            tokio::time::sleep(Duration::from_millis(800)).await;
            for replica in REPLICAS {
                self.inventory.look(replica).await;
            }
            let pending = self.world.orders().read(|rows| {
                let pending = rows.0.iter().filter(|(_, order)| order.status == Status::Pending);
                pending.map(|(key, order)| (key.clone(), *order)).collect::<Vec<_>>()
            });
            for (key, order) in pending {
                let status = self.reserve(&key, order.pieces).await;
                self.world.note(format_args!("reconciler finds {key}: {status:?}"));
                if status != Status::Pending {
                    self.world.orders().write(|rows| rows.0.insert(key, Order { status, ..order }));
                }
            }
        }
    }
}

/// A replica of Inventory: takes pieces from the stock, and has the Warehouse pick them.
pub(crate) async fn inventory(world: World, name: &'static str) -> turmoil::Result {
    let keys = keys(&world, world.stock());
    tokio::spawn(pick(world.clone(), Client::new(&world, name)));
    let router = Router::new().route("/reservations", keys.post(reserve));
    serve(behind(&world, router.with_state(world.clone()))).await
}

async fn reserve(
    State(world): State<World>,
    claim: Claim,
    line: String,
) -> Result<Recorded, Refusal> {
    labour(&world, &claim).await?;
    let (pieces, order) = line.split_once(' ').unwrap_or(("1", &line));
    let (pieces, order) = (pieces.parse().unwrap_or(1), order.to_owned());
    let made = world.stock().transact(&world, &claim, |stock: &mut Stock| {
        let Some(left) = stock.left.checked_sub(pieces) else {
            return answer(StatusCode::CONFLICT, format!("sold out {order}"));
        };
        world.note(format_args!("reserves {order}, {left} left"));
        stock.left = left;
        stock.reservations.push(Reservation { order: order.clone(), pieces, is_picked: false });
        answer(StatusCode::CREATED, format!("reserved {order}"))
    });
    Ok(made.await?)
}

/// Both replicas send what is not known to be picked, and so often the same at once.
async fn pick(world: World, warehouse: Client) {
    loop {
        tokio::time::sleep(Duration::from_millis(600)).await;
        warehouse.look(WAREHOUSE).await;
        let open = world.stock().read(|stock| {
            let open = stock.reservations.iter().filter(|reservation| !reservation.is_picked);
            open.map(|reservation| reservation.order.clone()).collect::<Vec<_>>()
        });
        for order in open {
            let key = Key::derived((order.as_str(), "pick")).expect("a key makes a key");
            let uri = format!("http://{WAREHOUSE}/picks");
            let picked = warehouse.post(&uri, &key, &order).await;
            if picked.is_some_and(|answer| answer.status == StatusCode::CREATED) {
                world.stock().write(|stock| {
                    let open = stock.reservations.iter_mut().filter(|row| row.order == order);
                    open.for_each(|row| row.is_picked = true);
                });
            }
        }
    }
}

/// The Warehouse: picks what was reserved.
pub(crate) async fn warehouse(world: World) -> turmoil::Result {
    let keys = keys(&world, world.picks());
    let router = Router::new().route("/picks", keys.post(pick_one));
    serve(behind(&world, router.with_state(world.clone()))).await
}

async fn pick_one(
    State(world): State<World>,
    claim: Claim,
    order: String,
) -> Result<Recorded, Refusal> {
    labour(&world, &claim).await?;
    let picked = world.picks().transact(&world, &claim, |picks: &mut Picks| {
        world.note(format_args!("picks {order}"));
        picks.0.push(order.clone());
        answer(StatusCode::CREATED, format!("picked {order}"))
    });
    Ok(picked.await?)
}

/// The work before the effect: quick, slow enough to be given up on, longer than a lease while
/// nobody renews it, or in vain.
async fn labour(world: &World, claim: &Claim) -> Result<(), Refusal> {
    if world.chance(10) {
        world.saw("a handler was slow");
        world.pause(5_000).await;
    }
    if world.chance(6) {
        world.lose_sight().await;
    }
    if world.chance(5) {
        world.saw("a handler failed");
        return Err(later("/problems/out-of-order").into());
    }
    if world.chance(3) {
        world.saw("a handler panicked");
        panic!("{ON_PURPOSE}, under {claim:?}");
    }
    world.pause(60).await;
    Ok(())
}

fn keys<R: Send + Clone + 'static>(
    world: &World,
    database: &Database<R>,
) -> IdempotencyLayer<Records<R>, (), Transactional> {
    world.start();
    let records = || Records { database: database.clone(), world: world.clone() };
    let sweep = Sweep::new(records()).every(Duration::from_secs(2)).dice(world.dice());
    // It ends with its host.
    tokio::spawn(async move {
        let _sweeper = sweep.spawn();
        std::future::pending::<()>().await;
    });
    IdempotencyLayer::new(records()).transactional().lease(LEASE).dice(world.dice())
}

/// A router behind the server's layers.
fn behind(world: &World, router: Router) -> Router {
    let layers = aplomb::stack::server()
        .problems(ProblemLayer::new().dice(world.dice()))
        .authenticate(Extension(Principal::new("the simulation")))
        .admission(AdmissionLayer::new(16).dice(world.dice()));
    router.route("/health", get(|| async { "well" })).layer(layers)
}

fn answer(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

fn later(kind: &'static str) -> Problem {
    Problem::new(kind, "not now", StatusCode::SERVICE_UNAVAILABLE)
}

/// What a handler says when it panics.
pub(crate) const ON_PURPOSE: &str = "a handler panics on purpose";
pub(crate) const REPLICAS: [&str; 2] = ["inventory-1", "inventory-2"];
pub(crate) const WAREHOUSE: &str = "warehouse";
const LEASE: Duration = Duration::from_secs(2);
/// So short that slow customers come too late.
pub(crate) const ANSWERS_KEPT: Duration = Duration::from_secs(8);
const KEYS_KEPT: Duration = Duration::from_secs(3600);
