"""Programs that know nothing of headway, made jobs as they are."""
