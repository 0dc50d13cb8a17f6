package gcs_test

import "testing"

func TestAttackRedirect(t *testing.T) { byHand.Strays(t, "elsewhere", true) }
