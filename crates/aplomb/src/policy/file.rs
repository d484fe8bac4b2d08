//! All policies of a service, as its policy file says them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dependency::Dependency;
use super::error::Errors;
use super::operation::{Operation, OperationName};
use super::read;
use super::service::Service;

/// All policies of a service.
///
/// Read from TOML by [`parse`](Self::parse), or put together from values.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    name: Arc<str>,
    service: Service,
    dependencies: BTreeMap<Arc<str>, Dependency>,
    by_authority: BTreeMap<Arc<str>, Arc<str>>,
}

impl PolicyFile {
    /// Reads a policy file; `name` is what errors and findings call it.
    ///
    /// # Errors
    ///
    /// When it is not TOML, has a key or a value that no policy takes, contradicts itself, or leaves
    /// one of the six questions open: all of it at once, each with its line, column and mend.
    pub fn parse(name: impl Into<Arc<str>>, text: &str) -> Result<Self, Errors> {
        read::file(name.into(), text)
    }

    /// The policies of a service, put together from values.
    ///
    /// Of two dependencies with the same name the later one stands.
    pub fn new(service: Service, dependencies: impl IntoIterator<Item = Dependency>) -> Self {
        let name = Arc::from("policy");
        let dependencies = dependencies.into_iter().map(|one| (Arc::clone(&one.name), one));
        let dependencies: BTreeMap<_, _> = dependencies.collect();
        let authority = |one: &Dependency| Some((one.terms.authority.clone()?, one.name.clone()));
        let by_authority = dependencies.values().filter_map(authority).collect();
        Self { name, service, dependencies, by_authority }
    }

    pub(super) fn called(mut self, name: Arc<str>) -> Self {
        self.name = name;
        self
    }

    /// What errors and findings call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The service.
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Its dependencies, by name.
    pub fn dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.values()
    }

    /// The dependency of this name.
    pub fn dependency(&self, name: &str) -> Option<&Dependency> {
        self.dependencies.get(name)
    }

    /// The dependency at this host and port.
    pub fn at_authority(&self, authority: &str) -> Option<&Dependency> {
        self.dependency(self.by_authority.get(authority)?)
    }

    /// Every operation, with its dependency.
    pub fn operations(&self) -> impl Iterator<Item = (&Dependency, &Operation)> {
        self.dependencies().flat_map(|dependency| {
            dependency.operations().map(move |operation| (dependency, operation))
        })
    }

    /// The operation that a request is part of, with its dependency.
    ///
    /// The dependency is the one that an [`OperationName`] among the request's extensions names,
    /// else the one at its authority; the operation is the one that is named, else the one whose
    /// method and path the request has.
    pub fn find<B>(&self, request: &http::Request<B>) -> Option<(&Dependency, &Operation)> {
        self.route(None, request)
    }

    /// The same for any request, and for an operation that is named beside it.
    pub(crate) fn route(
        &self,
        named: Option<&OperationName>,
        request: &impl aplomb_core::Request,
    ) -> Option<(&Dependency, &Operation)> {
        let named = named.or_else(|| request.extensions()?.get());
        let dependency = match named.and_then(OperationName::dependency) {
            Some(name) => self.dependency(name)?,
            None => self.at_authority(request.authority()?)?,
        };
        let operation = dependency.find(named, request.method(), request.path())?;
        Some((dependency, operation))
    }
}
