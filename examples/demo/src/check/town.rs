//! Where a check is played: in this process, or in several of each role.

use std::path::Path;

use aplomb_order_api::Policies;
use axum::Router;

use crate::cli::Check;
use crate::client::Client;
use crate::fleet::Fleet;
use crate::place::Ground;
use crate::services::{Plan, Services};
use crate::trouble::Trouble;

/// The services, whatever they run in.
pub(crate) enum Town {
    Here(Box<Services>),
    Apart(Box<Fleet>),
}

impl Town {
    pub(crate) async fn start(
        check: &Check,
        ground: &Ground,
        data: &Path,
        policy: Option<&Path>,
    ) -> Result<Self, Trouble> {
        let count = usize::try_from(check.processes).unwrap_or_default();
        if count > 0 {
            let fleet = Fleet::start(ground, count, check.seed, policy).await?;
            return Ok(Self::Apart(Box::new(fleet)));
        }
        let policies = policy.map_or_else(Policies::default, Policies::watched);
        let (seed, beside) = (Some(check.seed), Router::new());
        let plan = Plan { port: 0, data, seed, ground, beside, policies };
        Ok(Self::Here(Box::new(Services::start(plan).await?)))
    }

    pub(crate) fn client(&self) -> &Client {
        match self {
            Self::Here(services) => &services.client,
            Self::Apart(fleet) => &fleet.client,
        }
    }

    /// The processes, if there are any to do something to.
    pub(crate) fn fleet(&self) -> Option<&Fleet> {
        match self {
            Self::Here(_) => None,
            Self::Apart(fleet) => Some(fleet),
        }
    }

    /// How many processes of the Order API there are.
    pub(crate) fn width(&self) -> u64 {
        self.fleet().map_or(1, Fleet::width)
    }

    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        match self {
            Self::Here(services) => services.stop().await,
            Self::Apart(fleet) => fleet.stop().await,
        }
    }
}
