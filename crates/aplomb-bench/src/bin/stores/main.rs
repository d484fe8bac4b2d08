//! Prints how fast the stores are, beside what their databases can do at best.

mod memory;
mod postgres;
mod redis;
mod rounds;
mod sqlite;
mod work;

use work::Result;

#[tokio::main]
async fn main() -> Result<()> {
    let stores = [
        memory::prepared().await?,
        redis::prepared().await?,
        postgres::prepared().await?,
        sqlite::prepared().await?,
    ];
    println!("what\tin flight\ta second");
    for store in &stores {
        for row in store.measured().await? {
            println!("{row}");
        }
    }
    Ok(())
}
