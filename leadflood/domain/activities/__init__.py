"""Activities: what people did to leads, beside changing them."""
