//! A server that cannot work does not start, and says what to do.

use zhanggui::{
    database::{Database, OpenError, Options, Realm},
    http::ServeError,
};

use crate::support::{Engine, World, on_both_databases};

on_both_databases!(
    a_port_that_somebody_has_is_named,
    a_database_of_the_other_realm_is_refused,
    a_database_of_a_newer_program_is_refused,
    a_database_that_is_not_there_is_refused,
    requests_under_way_are_answered_before_the_server_ends,
);

async fn open(world: &World, realm: Realm) -> Result<Database, OpenError> {
    let config = world.recipe.config(&world.shop, world.port);
    Database::open(Options::new(config.database), realm).await
}

async fn a_port_that_somebody_has_is_named(world: &mut World) {
    let error = world.recipe.start(&world.shop, world.port).await.err().unwrap();
    assert!(matches!(error, ServeError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains(&world.port.to_string()) && error.to_string().contains("server.listen"));
}

async fn a_database_of_the_other_realm_is_refused(world: &mut World) {
    let error = open(world, Realm::Live).await.err().unwrap();
    assert!(matches!(error, OpenError::OtherRealm { found: Realm::Simulated, wanted: Realm::Live }), "{error:?}");
}

async fn a_database_of_a_newer_program_is_refused(world: &mut World) {
    const NEWER: &str = "
        INSERT INTO schema_migration (version, name, checksum, applied_ms)
        SELECT 9999, name, checksum, applied_ms FROM schema_migration WHERE version = 1";
    world.database().write(|tx| tx.execute(NEWER, &[])).await.unwrap();
    let error = open(world, Realm::Simulated).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 9999, .. }), "{error:?}");
}

async fn a_database_that_is_not_there_is_refused(world: &mut World) {
    world.recipe.database.push_str("_gone");
    let error = open(world, Realm::Simulated).await.err().unwrap();
    match world.engine {
        Engine::Sqlite => {
            assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
            assert!(error.to_string().contains("zhanggui migrate"));
        }
        Engine::Postgres => assert!(matches!(error, OpenError::Database(_)), "{error:?}"),
    }
}

async fn requests_under_way_are_answered_before_the_server_ends(world: &mut World) {
    use weixin_simulator::{Fault, FaultKind};
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let mut wire = world.sim.follow_wire();
    wire.mark_unchanged();
    world.sim.inject(Fault::on("/pay/unifiedorder", FaultKind::Hang(300)));
    let pressing = {
        let (phone, order) = (phone.clone(), order.clone());
        tokio::spawn(async move { phone.parameters(&order).await })
    };
    wire.changed().await.unwrap();
    world.stop().await;
    let parameters = pressing.await.unwrap();
    world.restart().await;
    assert_eq!(phone.parameters(&order).await.prepay_id(), parameters.prepay_id());
}
