//! For any sequence of operations, the vault answers like the library's own storage.

use proptest::prelude::*;
use wacore::store::InMemoryBackend;

use super::Fixture;
use super::operation::{Operation, answer, any_operation};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_vault_answers_as_the_library_does(operations in prop::collection::vec(any_operation(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut vault = Fixture::new();
            let library = InMemoryBackend::new();
            for (at, operation) in operations.iter().enumerate() {
                if matches!(operation, Operation::Reopen) {
                    vault.reopen().await;
                    continue;
                }
                let expected = answer(&library, operation).await;
                let found = answer(&vault.backend, operation).await;
                prop_assert_eq!(found, expected, "operation {}: {:?}", at, operation);
            }
            Ok(())
        })?;
    }
}
