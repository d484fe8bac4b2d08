use super::Item;
use crate::inner::{Later, Prompt, read, read_8, write};

pub(super) const ITEMS: &[Item] = &[
    Item::new("bare", |driver, calls| driver.drive(&mut Prompt, read, calls)),
    Item::new("bare-8-headers", |driver, calls| driver.drive(&mut Prompt, read_8, calls)),
    Item::new("bare-pending", |driver, calls| driver.drive(&mut Later, read, calls)),
    Item::new("bare-post", |driver, calls| driver.drive(&mut Prompt, write, calls)),
];
